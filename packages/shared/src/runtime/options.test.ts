import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  asText,
  commonConfig,
  commonSettings,
  createProgram,
  envLayer,
  flagLayer,
  folded,
  parseAddress,
  parseCount,
  parseHost,
  parseListenPort,
  parsePort,
  parseSeconds,
  parseWait,
  portOf,
  readSecretFile,
  several,
  single,
} from './options.ts';

const ports = {
  serverPort: single({ flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' }, 'port', parsePort),
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'host', parseHost),
  secret: single({ env: 'SS_SECRET' }, 'secret', asText),
};

describe('parsers', () => {
  test('take what they are for', () => {
    expect(parsePort('65535')).toBe(65535);
    expect(parseListenPort('0')).toBe(0);
    expect(parseSeconds('1.5')).toBe(1500);
    expect(parseWait('0')).toBe(0);
    expect(parseCount('1024')).toBe(1024);
    expect(parseAddress('::1')).toBe('::1');
  });

  test.each([
    ['example.com', { host: 'example.com' }],
    ['example.com:8388', { host: 'example.com', port: 8388 }],
    ['::', { host: '::' }],
    ['[::1]', { host: '::1' }],
    ['[::1]:8388', { host: '::1', port: 8388 }],
    ['10.0.0.1:1', { host: '10.0.0.1', port: 1 }],
    ['fe80::1%eth0', { host: 'fe80::1%eth0' }],
  ])('parseHost reads %s', (text, host) => {
    expect(parseHost(text)).toEqual(host);
  });

  test.each([
    [parsePort, '0', '"0" is not a port; give a number from 1 to 65535'],
    [parsePort, '65536', 'from 1 to 65535'],
    [parsePort, '8388x', '"8388x" is not a port'],
    [parsePort, '-1', 'is not a port'],
    [parsePort, '', 'is not a port'],
    [parsePort, '1e3', 'is not a port'],
    [parseCount, '0', 'give a number from 1'],
    [parseSeconds, '0', 'not a time in seconds'],
    [parseSeconds, '9999999', 'to 2147483'],
    [parseWait, '-1', 'not a time in seconds'],
    [parseHost, '', 'not a host'],
    [parseHost, 'a b', 'not a host'],
    [parseHost, '[example.com]:1', 'not a host'],
    [parseHost, 'example.com:99999', 'not a port'],
    [parseAddress, 'localhost', 'not an IP address'],
  ])('%o refuses %j', (parse, text, complaint) => {
    expect(() => parse(text)).toThrow(complaint);
  });

  test('do not quote an ss:// URL that came to the wrong flag', () => {
    expect(() => parseHost('ss://c2VjcmV0@example.com:1')).toThrow(/^what is given is not a host/);
    expect(() => parsePort('hunter2@example.com')).toThrow(/^what is given/);
  });
});

describe('layers', () => {
  test('hold values with the place they came from', () => {
    expect(flagLayer(ports, { serverPort: '1', server: ['a', 'b:2'] })).toEqual({
      serverPort: { value: 1, from: '-p (--server-port)' },
      server: { value: [{ host: 'a' }, { host: 'b', port: 2 }], from: '-s (--server)' },
    });
    expect(envLayer(ports, { SS_SERVER_PORT: '1', SS_SERVER: 'a, b:2', SS_SECRET: 'x' })).toEqual({
      serverPort: { value: 1, from: 'SS_SERVER_PORT' },
      server: { value: [{ host: 'a' }, { host: 'b', port: 2 }], from: 'SS_SERVER' },
      secret: { value: 'x', from: 'SS_SECRET' },
    });
  });

  test('put the place in front of an error', () => {
    expect(() => flagLayer(ports, { serverPort: 'x' })).toThrow('-p (--server-port): "x" is not a port');
    expect(() => envLayer(ports, { SS_SERVER_PORT: 'x' })).toThrow('SS_SERVER_PORT: "x" is not a port');
  });

  test.each(['tcp://10.0.0.1:8388', 'udp://10.0.0.1:8388'])('ignore the service link %s in a port', link => {
    expect(envLayer(ports, { SS_SERVER_PORT: link })).toEqual({});
    expect(envLayer(ports, { SS_SECRET: link })).toEqual({ secret: { value: link, from: 'SS_SECRET' } });
  });

  test('ignore an empty variable', () => {
    expect(envLayer(ports, { SS_SERVER_PORT: '', SS_SECRET: '' })).toEqual({});
  });

  test('-v sets the log level within its source only', () => {
    const verbose = { value: true, from: '-v (--verbose)' };
    const layer: Parameters<typeof folded>[0] = { verbose };
    expect(folded(layer, () => {}).logLevel).toEqual({ value: 'debug', from: '-v (--verbose)' });
    const logLevel = { value: 'trace', from: '--log-level' } as const;
    expect(folded({ verbose, logLevel }, () => {}).logLevel).toBe(logLevel);
  });

  test('portOf prefers the port of the host, and a source above the one of the host', () => {
    const high = { serverPort: { value: 1, from: 'flag' } };
    const low = { server: 'host', serverPort: { value: 2, from: 'file' } };
    expect(portOf(3, 'host', [{}, low])).toBe(3);
    expect(portOf(3, 'host', [high, low])).toBe(1);
    expect(portOf<string>(undefined, 'host', [{}, low])).toBe(2);
    expect(portOf<string>(undefined, undefined, [{}])).toBeUndefined();
  });
});

describe('readSecretFile', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (content: string, mode: number) => {
    const path = join(folder, 'key');
    writeFileSync(path, content);
    chmodSync(path, mode);
    const warnings: string[] = [];
    const { value } = readSecretFile({ value: path, from: '--password-file' }, message => warnings.push(message));
    return { value, warnings };
  };

  test.each([
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    ['hunter2', 'hunter2'],
    [' hunter2 \n\n', ' hunter2 \n'],
  ])('cuts one newline off %j', (content, value) => {
    expect(read(content, 0o600)).toEqual({ value, warnings: [] });
  });

  test.each([0o644, 0o640, 0o604])('warns of mode %o, without the secret', mode => {
    const { warnings } = read('hunter2', mode);
    expect(warnings).toEqual([expect.stringMatching(/^--password-file: others can read .*chmod 600/)]);
    expect(warnings[0]).not.toContain('hunter2');
  });

  test('names flag and file when there is nothing to read', () => {
    expect(() => read('\n', 0o600)).toThrow(/^--password-file: .*key is empty/);
    const missing = { value: join(folder, 'none'), from: 'SS_PASSWORD_FILE' };
    expect(() => readSecretFile(missing, () => {})).toThrow(/^SS_PASSWORD_FILE: cannot read .*none \(ENOENT\)/);
  });

  test('refuses a password beside a password file in one source', () => {
    const layer = { password: { value: 'hunter2', from: '-k' }, passwordFile: { value: 'x', from: '--password-file' } };
    expect(() => folded(layer, () => {})).toThrow('-k and --password-file both give the password');
  });
});

describe('commonConfig', () => {
  const load = (given: Parameters<typeof commonConfig>[0], nodeVersion = '20.19.0') => {
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const config = commonConfig(given, { handshakeTimeout: 1, drainTimeout: 2 }, { warn, nodeVersion });
    return { config, warnings };
  };
  const on = { value: true, from: '--flag' };

  test('warns once of each thing that Node.js cannot do', () => {
    const { warnings } = load({ fastOpen: on, mptcp: on });
    expect(warnings).toEqual([expect.stringContaining('TCP Fast Open'), expect.stringContaining('Multipath TCP')]);
    expect(load({ fastOpen: { value: false, from: 'file' } }).warnings).toEqual([]);
  });

  test.each(['20.19.0', '22.11.0', '23.0.0'])('refuses --reuse-port on Node.js %s', version => {
    expect(() => load({ reusePort: on }, version)).toThrow(`--flag: needs Node.js 22.12 or later, this is ${version}`);
    expect(load({ reusePort: { value: false, from: 'file' } }, version).config.reusePort).toBe(false);
  });

  test.each(['22.12.0', '23.1.0', '24.0.0'])('takes --reuse-port on Node.js %s', version => {
    expect(load({ reusePort: on }, version).config.reusePort).toBe(true);
  });
});

describe('createProgram', () => {
  const create = () =>
    createProgram({ name: 'ss-test', version: '1', summary: '' }, { ...ports, ...commonSettings }, { write: () => {} });

  test('gives every setting the name under which flagLayer looks it up', () => {
    for (const [name, { flags }] of Object.entries<{ flags?: string }>({ ...ports, ...commonSettings })) {
      if (!flags) continue;
      const option = create().options.find(candidate => candidate.flags === flags);
      expect(option?.attributeName()).toBe(name);
    }
  });

  test('--no-delay is a switch, not the negation of --delay', () => {
    const parse = (...argv: string[]) =>
      create()
        .action(() => {})
        .parse(argv, { from: 'user' })
        .opts();
    expect(parse()).toEqual({});
    expect(parse('--no-delay')).toEqual({ noDelay: true });
  });

  test('collects what may be repeated, and shows what only the environment sets', () => {
    const program = create()
      .action(() => {})
      .parse(['-s', 'a', '-s', 'b', '-6v'], { from: 'user' });
    expect(program.opts()).toEqual({ server: ['a', 'b'], ipv6First: true, verbose: true });
  });

  test.each([
    [['-u'], '-u (--udp): UDP is not available in this version'],
    [['-vu'], '-u (--udp)'],
    [['-U'], '-U (--udp-only): UDP is not available'],
    [['-d', '8.8.8.8'], '-d (--nameserver): own name servers are not available'],
    [['--acl', 'file'], '--acl: access control lists are not available'],
    [['--acl'], '--acl: '],
    [['--plugin', 'x'], '--plugin: plugins are not available'],
    [['--plugin-opts=x'], '--plugin-opts: plugins are not available'],
    [['-a', 'nobody'], '-a (--user): '],
    [['-f', 'pid'], '-f (--pid-file): '],
    [['-i', 'eth0'], '-i (--interface): '],
    [['--key', 'a2V5'], '--key: raw keys are not taken'],
    [['--manager-address', 'x'], '--manager-address: '],
  ])('refuses %j by name, and keeps it out of the help', (argv, complaint) => {
    const program = create().action(() => {});
    expect(() => program.parse(argv, { from: 'user' })).toThrow(complaint);
    const flag = argv[0]!.replace('-vu', '-u').split('=')[0]!;
    expect(program.helpInformation()).not.toMatch(new RegExp(`^ *${flag}\\b`, 'm'));
  });
});
