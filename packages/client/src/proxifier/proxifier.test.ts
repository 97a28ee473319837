import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAddress } from '@podsocks/shared/matching/ip-address';
import { contains, parseNetwork } from '@podsocks/shared/matching/network';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { runProgram } from '@podsocks/shared/runtime/lifecycle';
import { createProgram } from '@podsocks/shared/settings/program';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ClientStatus } from '../status/client-status.ts';
import { PROXIFIER_PLATFORMS } from './profile.ts';
import { addProxifierCommand } from './proxifier-command.ts';
import { domainTargets, networkTarget } from './targets.ts';
import { element, isXmlText, xmlDocument } from './xml.ts';

const route = {
  mode: 'auto',
  domains: ['cluster.local', 'svc'],
  networks: ['10.96.0.0/12', '10.244.0.0/16', '10.0.0.53'],
};
const running = { asksForPassword: false, route } as unknown as ClientStatus;

async function run(argv: readonly string[], status: ClientStatus | Error | null = running, platform = 'win32') {
  let [stdout, stderr] = ['', ''];
  const surroundings = {
    stdout: {
      write: (text: string) => {
        stdout += text;
      },
    },
    stderr: {
      write: (text: string) => {
        stderr += text;
      },
    },
    events: process,
  };
  const program = createProgram({ name: 'ss-local', version: '0.0.0', summary: '' }, {}, surroundings.stdout);
  addProxifierCommand(program, {}, surroundings, {
    platform: platform as NodeJS.Platform,
    localEndpoint: () => ({ host: '127.0.0.1', port: 1080 }),
    fetchStatus: async () => {
      if (status instanceof Error) throw status;
      return status ?? undefined;
    },
  });
  return { code: await runProgram(program, ['proxifier', ...argv], surroundings), stdout, stderr };
}

describe('ss-local proxifier', () => {
  it.each(PROXIFIER_PLATFORMS)('%s', async platform => {
    const apps =
      platform === 'windows' ? 'java.exe; idea64.exe;"My <App> & Co.exe"' : 'java; IntelliJ IDEA; com.example.*';
    const { code, stdout, stderr } = await run(['--platform', platform, '--app', apps, '--app', 'psql']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot(`golden/${platform}.ppx`);
  });

  it('without a running ss-local takes what is usual, and says so', async () => {
    const { code, stdout, stderr } = await run(['--network', '10.96.0.0/12'], null, 'darwin');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^ss-local: warning: no ss-local answers at 127\.0\.0\.1:1080: .*\n$/);
    expect(stdout).toContain('<Targets>*.cluster.local; *.svc; 10.96.0.0-10.111.255.255</Targets>');
    expect(stdout).toContain('platform="MacOSX"');
  });

  it('names networks that are given in the place of those that are told', async () => {
    const { stdout, stderr } = await run([
      '--network',
      '192.0.2.0/24',
      '--network',
      'fd00::/8',
      '--network',
      'fd00::1',
    ]);
    expect(stdout).toContain('; 192.0.2.0-192.0.2.255; fd00::1</Targets>');
    expect(stdout).not.toContain('10.96');
    expect(stderr).toContain('left out, because Proxifier has no ranges of IPv6 addresses: fd00::/8\n');
  });

  it('says that without networks only names are reached', async () => {
    const { stderr } = await run([], { ...running, route: { mode: 'all', domains: [], networks: [] } });
    expect(stderr).toContain('no network of the cluster is known, so only its names are reached; give --network');
  });

  it.each([{ ...running, asksForPassword: true }, new PodsocksError('ERR_DENIED', 'asks')])(
    'says who has to be given the password',
    async status => {
      const { code, stdout, stderr } = await run([], status);
      expect(code).toBe(0);
      expect(stderr).toContain('give Proxifier both, under Profile > Proxy Servers');
      expect(stderr).not.toContain('no ss-local answers');
      expect(stdout).not.toContain('Authentication');
    },
  );

  it('writes a file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podsocks-proxifier-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'cluster.ppx');
    const { code, stdout, stderr } = await run(['--output', path]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain(`wrote ${path};`);
    expect(readFileSync(path, 'utf8')).toBe((await run([])).stdout);

    const elsewhere = await run(['--output', join(directory, 'no/such')]);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain('cannot be written (ENOENT)');
  });

  it.each([
    [['--app', 'C:\\Program Files\\nodejs\\Node.exe'], '--app: ss-local runs as node.exe, and its own connections'],
    [['--platform', 'macos', '--app', 'node'], 'ss-local runs as node,'],
    [['--app', ';'], '--app: is no list of programs'],
    [['--app', 'a\u0001.exe'], '--app: is no list of programs'],
    [['--app', 'a".exe'], '--app: is no list of programs'],
    [['--network', '10.0.0.1/8'], '--network: 10.0.0.1/8 has bits behind its prefix'],
    [['--platform', 'beos'], '--platform: "beos" is not one of windows, macos'],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('asks which system where it is neither', async () => {
    const { code, stderr } = await run([], running, 'linux');
    expect(code).toBe(2);
    expect(stderr).toContain('say where it runs: --platform windows|macos');
  });
});

describe('targets', () => {
  it.each([
    ['10.96.0.0/12', '10.96.0.0-10.111.255.255'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.0/31', '10.0.0.0-10.0.0.1'],
    ['128.0.0.0/1', '128.0.0.0-255.255.255.255'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
    ['::1', '::1'],
    ['fd00::/8', undefined],
  ])('%s is %s', (cidr, target) => {
    expect(networkTarget(parseNetwork(cidr))).toBe(target);
  });

  it('a range ends where its network does', () => {
    const numbers = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 31 }));
    fc.assert(
      fc.property(numbers, ([d, prefix]) => {
        const base = { family: 4 as const, a: 0, b: 0, c: 0, d: d & (-1 << (32 - prefix)) };
        const network = { kind: 'network' as const, base, prefix };
        const [first, last] = networkTarget(network)!
          .split('-')
          .map(text => readAddress(text)!);
        expect(contains(network, first!) && contains(network, last!)).toBe(true);
        const next = { ...last!, d: (last!.d + 1) | 0 };
        expect(contains(network, next)).toBe(false);
        expect(first).toEqual(base);
      }),
    );
  });

  it('no domain can begin another target', () => {
    expect(domainTargets(['cluster.local', 'a; *', '', '.', 'b<c', 'k8s.example.com'])).toEqual([
      '*.cluster.local',
      '*.k8s.example.com',
    ]);
  });
});

describe('XML', () => {
  it('is escaped everywhere', () => {
    const nasty = `<a b="c" d='e'>&amp;]]>`;
    const text = xmlDocument(element('r', { x: nasty }, [element('y', {}, nasty), element('z', {})]));
    const safe = '&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;amp;]]&gt;';
    expect(text).toBe(
      `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<r x="${safe}">\n  <y>${safe}</y>\n  <z />\n</r>\n`,
    );
  });

  it('has characters that it cannot hold', () => {
    expect(['a', 'ü', '🜁', '\t'].every(isXmlText)).toBe(true);
    expect(['\u0000', '\u001b', '\ud800', '\uffff'].some(isXmlText)).toBe(false);
  });
});
