import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dnsCommand, treeOf } from '@podsocks/client/dns-install/dns-install-fixtures';
import type { Command, DnsSystem } from '@podsocks/client/dns-install/system';
import { type Asked, reply, startFakeDns } from '@podsocks/shared/dns/fake-dns-fixtures';
import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { ELSEWHERE, IN_CLUSTER, resolvedObstacle, startResolvedMachine } from './systemd-resolved.ts';

const LOCAL_PORT = 5354; // in a namespace of its own
const NETWORKS = ['--network', '10.96.0.0/15'];
const { name: NAME, address: ADDRESS } = IN_CLUSTER;
const PTR = '80.0.96.10.in-addr.arpa';

describeWith(
  ['ip', 'dig', 'dnsmasq'],
  'ss-local dns install, and systemd-resolved',
  () => {
    const machine = suiteResource(() => startResolvedMachine(LOCAL_PORT));

    const dig = async (...args: string[]) => {
      const { run } = await machine();
      const { stdout } = await run([pathOf('dig'), '@127.0.0.53', '+short', '+tries=1', '+time=5', ...args]);
      return stdout.trim();
    };
    /** Files and links, and what resolved says of itself but for which of its servers it has asked. */
    const state = async () => {
      const { system, run } = await machine();
      const links = await run(['ip', '-brief', 'link']);
      const status = (await run(['resolvectl', 'status'])).stdout.replace(/ *Current DNS Server: .*\n|^ +/gm, '');
      return { files: treeOf(`${system.root}/etc`), links: links.stdout, status };
    };
    const install = async (...argv: string[]) => dnsCommand((await machine()).system, ['install', ...argv]);

    // By itself resolved asks no DNS server for names below .local, which are those of mDNS.
    test('before, nothing goes there', async () => {
      const { asked } = await machine();
      for (const question of [[NAME], ['example.com'], ['-x', ADDRESS]]) await dig(...question);
      expect(asked()).toEqual({ local: [], network: ['A example.com', `PTR ${PTR}`] });
    });

    test('afterwards those of the cluster go to ss-local, and no others', async () => {
      const { asked, run } = await machine();
      const { code, out } = await install(...NETWORKS);
      expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('installed: systemd-resolved') });
      expect(await dig(NAME)).toBe(ADDRESS);
      expect(await dig(IN_CLUSTER.srv, 'SRV')).toBe(`0 100 80 ${NAME}.`);
      expect(await dig(IN_CLUSTER.txt, 'TXT')).toBe('"1.1.0"');
      expect(await dig('-x', ADDRESS)).toBe(`${NAME}.`);
      expect(asked()).toEqual({
        local: [`A ${NAME}`, `PTR ${PTR}`, `SRV ${IN_CLUSTER.srv}`, `TXT ${IN_CLUSTER.txt}`],
        network: [],
      });
      for (const name of ['example.com', 'cluster.example', 'notcluster.local', 'svc.cluster.local.example.com']) {
        expect(await dig(name), name).toBe(name === 'notcluster.local' ? '' : ELSEWHERE);
      }
      await dig('-x', '10.98.0.1');
      expect(asked()).toMatchObject({ local: [], network: expect.arrayContaining(['PTR 1.0.98.10.in-addr.arpa']) });
      expect((await run(['resolvectl', 'query', '--legend=no', '-4', 'kube.cluster.local'])).code).not.toBe(0);
      expect((await run(['resolvectl', 'query', '--legend=no', '-4', NAME])).stdout).toContain(ADDRESS);
      expect((await run(['getent', 'ahostsv4', NAME])).stdout).toMatch(new RegExp(`^${ADDRESS} `));
      expect((await run(['getent', 'ahostsv4', 'example.org'])).stdout).toMatch(new RegExp(`^${ELSEWHERE} `));
      expect(asked().local.filter(question => !question.endsWith('.cluster.local'))).toEqual([]);
    });

    test('again: nothing; other zones: those, and no longer the first', async () => {
      const { asked } = await machine();
      expect((await install(...NETWORKS)).out).toMatch(/^already installed/);
      expect((await install('--zone', 'svc.example')).code).toBe(0);
      await dig('web.svc.example');
      await dig(NAME);
      await dig('-x', ADDRESS);
      expect(asked()).toEqual({ local: ['A web.svc.example'], network: [`PTR ${PTR}`] });
    });

    test('uninstall brings back what was there', async () => {
      const { system, asked } = await machine();
      await dnsCommand(system, ['uninstall']);
      const before = await state();
      await install(...NETWORKS);
      expect(await state()).not.toEqual(before);
      expect((await dnsCommand(system, ['uninstall'])).code).toBe(0);
      expect(await state()).toEqual(before);
      asked();
      await dig(NAME);
      await dig('-x', ADDRESS);
      expect(asked()).toEqual({ local: [], network: [`PTR ${PTR}`] });
    });

    test('an install that fails half-way leaves nothing', async () => {
      const { system, run } = await machine();
      const before = await state();
      // The unit is to fail at its first line.
      await run(['ip', 'link', 'add', 'podsocks0', 'type', 'veth', 'peer', 'name', 'other0']);
      const { code, err } = await dnsCommand(system, ['install']);
      await run(['ip', 'link', 'delete', 'podsocks0']);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/restart.*File exists.*as it was before/) });
      expect(await state()).toEqual(before);
    });
  },
  resolvedObstacle,
);

describeWith(['dig', 'dnsmasq'], 'ss-local dns install, and dnsmasq', () => {
  const suite = suiteResource(startDnsmasqMachine);

  const dig = async (...args: string[]) => {
    const { port } = await suite();
    const at = ['@127.0.0.1', '-p', `${port}`, '+noall', '+answer', '+comments', '+tries=1', '+time=5'];
    const text = `${await runCommand(pathOf('dig'), [...at, ...args])}`;
    return { status: /status: (\w+)/.exec(text)?.[1], data: /\s(?:A|PTR)\s+(\S+)$/m.exec(text)?.[1] };
  };

  test('only the zones go to ss-local, whatever is set for private addresses; uninstalled, none do', async () => {
    const { system, local, network, argv } = await suite();
    const before = treeOf(`${system.root}/etc`);
    expect(await dig(NAME), 'stop-dns-rebind').toEqual({ status: 'NOERROR', data: undefined });
    expect(await dig('-x', ADDRESS), 'bogus-priv').toEqual({ status: 'NXDOMAIN', data: undefined });
    const inDefault = { local: [], network: [`A ${NAME}`] };
    expect({ local: local.names(), network: network.names() }).toEqual(inDefault);

    expect((await dnsCommand(system, ['install', ...argv])).code).toBe(0);
    expect(await dig(NAME)).toEqual({ status: 'NOERROR', data: ADDRESS });
    expect(await dig('-x', ADDRESS)).toEqual({ status: 'NOERROR', data: `${NAME}.` });
    expect(await dig('web.example.com')).toEqual({ status: 'NOERROR', data: undefined });
    expect(await dig('-x', '10.98.0.1')).toEqual({ status: 'NXDOMAIN', data: undefined });
    expect({ local: local.names(), network: network.names() }).toEqual({
      local: [`A ${NAME}`, `PTR ${PTR}`],
      network: ['A web.example.com'],
    });
    expect((await dnsCommand(system, ['install', ...argv])).out).toMatch(/^already installed/);

    expect((await dnsCommand(system, ['uninstall'])).code).toBe(0);
    expect(treeOf(`${system.root}/etc`)).toEqual(before);
    await dig(NAME);
    expect({ local: local.names(), network: network.names() }).toEqual(inDefault);
  });

  test('a dnsmasq that does not start again brings the old state back', async () => {
    const { system, argv } = await suite();
    const before = treeOf(`${system.root}/etc`);
    writeFileSync(`${system.root}/etc/dnsmasq.d/wrong.conf`, 'no-such-option\n');
    const { code, err } = await dnsCommand(system, ['install', ...argv]);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/restart.*bad option.*as it was before/) });
    rmSync(`${system.root}/etc/dnsmasq.d/wrong.conf`);
    expect(treeOf(`${system.root}/etc`)).toEqual(before);
  });
});

/** A dnsmasq with settings that people have, a DNS server where ss-local's would be, and that of the network. */
async function startDnsmasqMachine() {
  const root = mkdtempSync(join(tmpdir(), 'podsocks-dnsmasq-'));
  mkdirSync(join(root, 'etc/dnsmasq.d'), { recursive: true });
  writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 127.0.0.1\n');
  const [local, network] = [await startListedDns(), await startListedDns()];
  const port = await freePort();
  const settings = [
    'bogus-priv',
    'stop-dns-rebind',
    'domain-needed',
    'cache-size=0',
    `server=127.0.0.1#${network.port}`,
  ];
  writeFileSync(join(root, 'etc/dnsmasq.d/people.conf'), settings.map(line => `${line}\n`).join(''));

  let program: ProgramRun | undefined;
  const restart = async () => {
    await program?.stop();
    program = await startProgram(
      'dnsmasq',
      [
        pathOf('dnsmasq'),
        ...['--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file', '--log-facility=-'],
        ...[`--conf-dir=${root}/etc/dnsmasq.d`, '--no-resolv', '--no-hosts'],
        ...['--bind-interfaces', '--listen-address=127.0.0.1', `--port=${port}`],
      ],
      port,
    );
  };
  await restart();
  const system: DnsSystem = {
    platform: 'linux',
    root,
    isRoot: async () => true,
    run: async (command: Command) => {
      expect(command).toEqual(['service', 'dnsmasq', 'restart']);
      const error = await restart().then(() => undefined, String);
      return { code: error ? 1 : 0, stdout: '', stderr: error ?? '' };
    },
  };
  const argv = [...NETWORKS, '--server', `127.0.0.1:${local.port}`];
  const close = async () => {
    await program?.stop();
    local.close();
    network.close();
    rmSync(root, { recursive: true });
  };
  return { system, port, local, network, argv, close };
}

/** Says a private address to all, and the cluster's name for all addresses. */
async function startListedDns() {
  const dns = await startFakeDns(query => reply(query, { answers: [answerTo(query)] }));
  return {
    port: dns.at.port,
    close: () => dns.close(),
    /** What was asked since the last call. */
    names: () => dns.asked.splice(0).map(({ type, name }) => `${type} ${name}`),
  };
}

function answerTo({ type, name }: Asked) {
  if (type === 'PTR') return { type: 'PTR' as const, name, data: NAME, ttl: 5 };
  return { type: 'A' as const, name, data: ADDRESS, ttl: 5 };
}
