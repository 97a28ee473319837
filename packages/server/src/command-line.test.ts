import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { parseSsUrl } from '@podsocks/shared/wire/ss-url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main, type ServerProgram } from './command-line.ts';
import type { ServerConfig } from './config.ts';

const key = (byte: number, length = 32) => Buffer.alloc(length, byte).toString('base64');
const [A, B, C] = [key(1), key(2), key(3)];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function configFile(content: object): string {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(content));
  return path;
}

/** Runs ss-server with a start that stands in for startServer and is told to stop at once. */
async function run(argv: readonly string[], env: Record<string, string> = {}, failure?: Error) {
  const [out, err, logged]: [string[], string[], string[]] = [[], [], []];
  const started: ServerConfig[] = [];
  const events = new EventEmitter();
  const start: ServerProgram['start'] = async (config, { log }) => {
    if (failure) throw failure;
    started.push(config);
    log.debug({ config }, 'started');
    setImmediate(() => events.emit('SIGTERM', 'SIGTERM'));
    return { drain: async () => {}, close: async () => {} };
  };
  const surroundings = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    logTo: { write: (text: string) => logged.push(text) },
    events,
  };
  const code = await main(argv, env, surroundings, { version: '1.2.3', start });
  return { code, out: out.join(''), err: err.join(''), logged, started };
}

describe('ss-server', () => {
  test('starts, runs until a signal and returns 0', async () => {
    const { code, out, err, started } = await run(['-k', A, '-s', '127.0.0.1', '-s', '::1', '-p', '0']);
    expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
    expect(started[0]?.listen).toEqual([
      { host: '127.0.0.1', port: 0 },
      { host: '::1', port: 0 },
    ]);
  });

  test('logs warnings once each, and no keys', async () => {
    const argv = ['-k', A, '-v', '--fast-open', '--fast-open', '--log-format', 'json'];
    const { logged } = await run(argv, {}, undefined);
    const lines = logged.map(line => JSON.parse(line));
    expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
      '--fast-open: Node.js has no TCP Fast Open; carrying on without',
    ]);
    expect(lines.find(({ msg }) => msg === 'started').config).toMatchObject({ key: '[redacted]', users: [] });
  });

  test('prints a failure as one line and returns 1', async () => {
    const { code, out, err } = await run(['-k', A], {}, new PodsocksError('ERR_LISTEN', 'port 8388 is taken'));
    expect({ code, out, err }).toEqual({ code: 1, out: '', err: 'ss-server: port 8388 is taken\n' });
  });

  test.each([
    [['-k', 'hunter2'], 'ss-server: -k (--password): the key of'],
    [['-k', A, '-u', '--mode', 'udp_only'], 'ss-server: -u (--udp) and --mode contradict each other; keep one'],
    [['-k', A, '-U', '--workers', '2'], 'ss-server: --workers: UDP is served by one process, and there is nothing'],
    [['-k', A, '--udp-timeout', '59'], 'ss-server: --udp-timeout: "59" is not a time in seconds that UDP can do with'],
    [['-k', A, '-d', 'dns.example'], 'ss-server: -d (--nameserver): "dns.example" is no address of a DNS server; give'],
    [
      ['-k', A, '--admin', ':9090'],
      'ss-server: --admin: ":9090" is not a host; give a name, an IP address or host:port',
    ],
    [['-k', A, '--audit', ''], 'ss-server: --audit: is empty; give a file, or - for the standard output'],
    [
      ['-k', A, '-s', '127.0.0.1', '-p', '9090', '--admin', '127.0.0.1'],
      'ss-server: --admin: 127.0.0.1:9090 is where it serves users; give another port',
    ],
    [['-k', A, '--dns-ndots', '16'], 'ss-server: --dns-ndots: "16" is no number of dots; give one from 0 to 15'],
    [['-k', A, '--acl', 'x'], 'ss-server: --acl: '],
    [['url', '-u', '--mode', 'tcp_only', '--host', 'x'], 'ss-server: -u (--udp) and --mode contradict each other'],
    [['-l', '1080'], 'ss-server: unknown option -l; see: ss-server --help'],
    [['--server-prot', '1'], '(did you mean --server-port?)'],
    [['nonsense'], 'ss-server: too many arguments'],
  ])('returns 2 for %j', async (argv, message) => {
    const { code, out, err, started } = await run(argv);
    expect({ code, out, started }).toEqual({ code: 2, out: '', started: [] });
    expect(err).toContain(message);
    expect(err.split('\n')).toHaveLength(2);
    expect(err).not.toMatch(/hunter2|AQEB/);
  });

  test('--check prints what would run, without keys, and starts nothing', async () => {
    const config = configFile({ password: C, users: [{ name: 'alice', password: A }], workers: 3, fast_open: true });
    const { code, out, err, started } = await run(['--check', '-c', config, '-p', '1234', '-b', '::1']);
    expect({ code, started }).toEqual({ code: 0, started: [] });
    expect(err).toMatch(/^ss-server: warning: .*fast_open: Node.js has no TCP Fast Open[^\n]*\n$/);
    expect(out).toMatch(
      /listen +0\.0\.0\.0:1234\n.*method +2022-blake3-aes-256-gcm\n.*users +alice\n.*leaves from +::1\n[\s\S]*DNS servers +[\s\S]*workers +3\n/,
    );
    for (const secret of [A, C]) expect(out).not.toContain(secret);
  });

  test('--check says where metrics and health would be told', async () => {
    expect((await run(['--check', '-k', A])).out).toMatch(/\n *admin +off\n/);
    expect((await run(['--check', '-k', A, '--admin', '::1'])).out).toMatch(/\n *admin +\[::1\]:9090\n/);
  });

  test.each([
    [[], {}, 'tcp_only'],
    [['-u'], {}, 'tcp_and_udp'],
    [['-U'], {}, 'udp_only'],
    [['--mode', 'tcp_and_udp'], {}, 'tcp_and_udp'],
    [[], { SS_MODE: 'udp_only' }, 'udp_only'],
  ])('starts, with %j and %j, in the mode %s', async (argv, env, mode) => {
    const { code, started } = await run(['-k', A, ...argv], env);
    expect({ code, modes: started.map(config => config.mode) }).toEqual({ code: 0, modes: [mode] });
  });

  test('--check prints what UDP would have, where it would run', async () => {
    const { out } = await run(['--check', '-k', A, '-u', '--udp-timeout', '90', '--udp-max-associations', '7']);
    expect(out).toMatch(/UDP associations +7\n.*UDP idle timeout +90 s\n.*mode +tcp_and_udp\n/);
    expect((await run(['--check', '-k', A, '-U'])).out).toMatch(
      /UDP associations +as many as open files allow\n.*UDP idle timeout +300 s\n.*mode +udp_only\n/,
    );
    const without = (await run(['--check', '-k', A, '--udp-timeout', '90'])).out;
    expect(without).toMatch(/mode +tcp_only\n/);
    expect(without).not.toContain('UDP');
  });

  test('--check prints where records go, and whether a load balancer says whose connections are', async () => {
    const { out } = await run(['--check', '-k', A, '--audit', 'audit.json', '--proxy-protocol']);
    expect(out).toMatch(/audit +audit\.json\n.*PROXY protocol +expected of every TCP connection\n/);
    expect((await run(['--check', '-k', A, '--audit', '-'])).out).toMatch(/audit +standard output\n/);
    expect((await run(['--check', '-k', A])).out).toMatch(/audit +off\n.*PROXY protocol +off\n/);
  });

  test('--check prints whom it would ask for names', async () => {
    const servers = ['-d', '10.96.0.10,[::1]:5353', '--nameserver', '10.0.0.1'];
    const { out } = await run(['--check', '-k', A, ...servers, '--dns-search', 'a.example, .', '--dns-ndots', '0']);
    expect(out).toMatch(
      /DNS servers +10\.96\.0\.10:53, \[::1\]:5353, 10\.0\.0\.1:53\n.*DNS search +a\.example, \.\n.*DNS ndots +0\n/,
    );
    expect((await run(['--check', '-k', A])).out).toMatch(
      /DNS servers +those of \/etc\/resolv\.conf\n.*DNS search +as \/etc\/resolv\.conf says\n.*DNS ndots +as \/etc/,
    );
  });

  test('--version', async () => {
    expect(await run(['-V'])).toMatchObject({ code: 0, out: '1.2.3\n' });
  });
});

describe('--help', () => {
  const flagsIn = (help: string) =>
    [...help.matchAll(/^ {2}(?:(-\S), )?(--[\w-]+)( <\w+>)?/gm)].map(([, ...parts]) => parts);

  test('lists exactly the flags of ss-server', async () => {
    const { out } = await run(['--help']);
    expect(flagsIn(out).map(([short, long]) => short ?? long)).toEqual([
      ...[
        '-s',
        '-p',
        '-b',
        '-d',
        '--dns-search',
        '--dns-ndots',
        '--udp-max-associations',
        '--udp-timeout',
        '--allow',
        '--deny',
        '--policy-default',
        '--acl',
        '--users',
        '--audit',
        '--admin',
        '--proxy-protocol',
        '--plugin',
        '--plugin-opts',
        '--drain-timeout',
        '--workers',
        '-k',
        '--password-file',
        '-m',
        '-t',
        '-u',
        '-U',
        '--mode',
        '-c',
        '-n',
        '--max-connections',
        '-6',
      ],
      ...['--no-delay', '--reuse-port', '--fast-open', '--mptcp', '--crypto-backend', '--log-level', '--log-format'],
      ...['-v', '--check', '-V', '-h'],
    ]);
  });

  test('lists every variable', async () => {
    const { out } = await run(['--help']);
    const variables = new Set(out.match(/\bSS_\w+/g));
    expect([...variables].sort()).toEqual([
      ...[
        'SS_ACL',
        'SS_ADMIN',
        'SS_ALLOW',
        'SS_AUDIT',
        'SS_CONFIG',
        'SS_CRYPTO_BACKEND',
        'SS_DENY',
        'SS_DNS_NDOTS',
        'SS_DNS_SEARCH',
        'SS_DRAIN_TIMEOUT',
        'SS_LOCAL_ADDRESS',
      ],
      ...['SS_LOG_FORMAT', 'SS_LOG_LEVEL'],
      ...[
        'SS_MAX_CONNECTIONS',
        'SS_METHOD',
        'SS_MODE',
        'SS_NAMESERVER',
        'SS_PASSWORD',
        'SS_PASSWORD_FILE',
        'SS_PLUGIN',
        'SS_PLUGIN_OPTS',
        'SS_POLICY_DEFAULT',
        'SS_SERVER',
        'SS_SERVER_PORT',
        'SS_TIMEOUT',
        'SS_UDP_MAX_ASSOCIATIONS',
        'SS_UDP_TIMEOUT',
        'SS_USERS',
        'SS_WORKERS',
      ],
    ]);
  });

  test('lists nothing that is not parsed', async () => {
    const values: Record<string, string> = { '--method': 'aes-256-gcm', '--log-level': 'info', '--log-format': 'json' };
    values['--crypto-backend'] = 'auto';
    values['--mode'] = 'udp_only';
    values['--nameserver'] = '10.0.0.1';
    values['--allow'] = '10.0.0.0/8';
    values['--deny'] = '::1';
    values['--policy-default'] = 'deny';
    values['--admin'] = '127.0.0.1';
    values['--acl'] = join(folder, 'acl');
    writeFileSync(join(folder, 'acl'), '[outbound_block_list]\n10.0.0.0/8\n');
    values['--users'] = join(folder, 'users');
    writeFileSync(join(folder, 'users'), '{ "users": [] }', { mode: 0o600 });
    values['--udp-timeout'] = '60';
    values['--password-file'] = join(folder, 'key');
    writeFileSync(join(folder, 'key'), 'x', { mode: 0o600 });
    values['--config'] = configFile({ method: 'aes-256-gcm' });
    for (const [short, long, value] of flagsIn((await run(['--help'])).out)) {
      const argument = value ? [values[long!] ?? (long === '--local-address' ? '::1' : '1')] : [];
      const password = long === '--password' || long === '--password-file' ? [] : ['-k', 'x'];
      const needed = long === '--plugin-opts' ? [...password, '--plugin', 'x'] : password;
      for (const flag of [short, long]) {
        if (!flag) continue;
        const { code, err } = await run(['-m', 'aes-256-gcm', ...needed, '--check', flag, ...argument]);
        const refused = long === '--reuse-port' && err.includes('needs Node.js 22.12');
        expect({ flag, code: refused ? 0 : code, err: refused ? '' : err.replace(/^.*warning.*\n/, '') }).toEqual({
          flag,
          code: 0,
          err: '',
        });
      }
    }
  });
});

describe('genkey', () => {
  test.each([
    [[], 32],
    [['-m', '2022-blake3-aes-128-gcm'], 16],
    [['-m', '2022-blake3-chacha20-poly1305'], 32],
    [['-m', 'aes-128-gcm'], 32],
  ])('%j prints a password that the method takes', async (flags, length) => {
    const { code, out, err } = await run(['genkey', ...flags]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(Buffer.from(out, 'base64')).toHaveLength(length);
    expect(out).toBe(`${Buffer.from(out, 'base64').toString('base64')}\n`);
    expect((await run(['--check', ...flags, '-k', out.trim()])).code).toBe(0);
    expect((await run(['genkey', ...flags])).out).not.toBe(out);
  });

  test('follows SS_METHOD, and takes nothing else', async () => {
    const { out } = await run(['genkey'], { SS_METHOD: '2022-blake3-aes-128-gcm' });
    expect(Buffer.from(out, 'base64')).toHaveLength(16);
    expect(await run(['genkey', '-p', '1'])).toMatchObject({ code: 2, err: expect.stringContaining('takes -m') });
    expect(await run(['genkey', '-m', 'rc4'])).toMatchObject({ code: 2, err: expect.stringContaining('rc4') });
  });
});

describe('url', () => {
  test('prints the URL of the one password', async () => {
    const { code, out } = await run(['url', '-k', A, '--host', 'example.com', '--port', '30888']);
    expect(code).toBe(0);
    expect(parseSsUrl(out)).toEqual({
      method: '2022-blake3-aes-256-gcm',
      password: A,
      host: 'example.com',
      port: 30888,
    });
  });

  test('prints one for each user of SIP022, with the main key in front', async () => {
    const users = [
      { name: 'alice', password: A },
      { name: 'bob b', password: B },
    ];
    const config = configFile({ password: C, users, server_port: 1234 });
    const { out } = await run(['-c', config, 'url', '--host', '::1']);
    const urls = out.trimEnd().split('\n').map(parseSsUrl);
    expect(urls.map(({ tag, password, host, port }) => [tag, password, host, port])).toEqual([
      ['alice', `${C}:${A}`, '::1', 1234],
      ['bob b', `${C}:${B}`, '::1', 1234],
    ]);
    const keys = clientKeys(methodNamed(urls[0]!.method), urls[0]!.password);
    expect(keys.identityKeys).toHaveLength(1);
  });

  test('prints one for each user of SIP004, the password of the server among them', async () => {
    const config = configFile({ method: 'aes-256-gcm', password: 'y', users: [{ name: 'alice', password: 'x' }] });
    const { out } = await run(['url', '-c', config, '--host', 'example.com:99']);
    const urls = out.trimEnd().split('\n').map(parseSsUrl);
    expect(urls.map(({ tag, password, port }) => [tag, password, port])).toEqual([
      ['alice', 'x', 99],
      ['default', 'y', 99],
    ]);
  });

  test.each([
    [['url', '-k', A], '--host is missing'],
    [['url', '-k', A, '--host', 'x', '-p', '0'], 'say which with --port'],
    [['url', '-k', A, '--host', 'x', '--port', '0'], '--port: "0" is not a port'],
    [['url', '--host', 'x'], 'no password'],
  ])('returns 2 for %#', async (argv, message) => {
    expect(await run(argv)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  });
});
