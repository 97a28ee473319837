import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningClient } from './client.ts';
import { type ClientProgram, main } from './command-line.ts';
import type { ClientConfig } from './config.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const METHOD = '2022-blake3-aes-256-gcm';
const SERVER_URL = formatSsUrl({ method: METHOD, password: KEY, host: 'example.com', port: 30888, tag: 'cluster' });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A client that does nothing, and hears nothing of its server. */
function standIn(): RunningClient {
  const none = async () => {};
  const status = () => {
    throw new Error('nobody asks');
  };
  return {
    addresses: [],
    datagramCounts: new DatagramCounts(),
    status,
    found: () => new Promise(() => {}),
    drain: none,
    close: none,
  };
}

/** Runs ss-local with a start that stands in for startClient and is told to stop at once. */
async function run(argv: readonly string[], env: Record<string, string> = {}) {
  const [out, err, logged]: [string[], string[], string[]] = [[], [], []];
  const started: ClientConfig[] = [];
  const events = new EventEmitter();
  const start: ClientProgram['start'] = async (config, { log }) => {
    started.push(config);
    log.debug({ config, uri: SERVER_URL }, 'started');
    setImmediate(() => events.emit('SIGINT', 'SIGINT'));
    return standIn();
  };
  const surroundings = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    logTo: { write: (text: string) => logged.push(text) },
    events,
  };
  const code = await main(argv, env, surroundings, { version: '1.2.3', start, self: ['ss-local'] });
  return { code, out: out.join(''), err: err.join(''), logged: logged.join(''), started };
}

const secrets = [KEY, encodeURIComponent(KEY), 'hunter2'];

describe('ss-local', () => {
  test.each<[string, string[], Record<string, string>]>([
    ['a URL', [SERVER_URL], {}],
    ['a URL among flags', ['-l', '1080', SERVER_URL, '-v'], {}],
    ['SS_URL', [], { SS_URL: SERVER_URL }],
    ['flags', ['-s', 'example.com', '-p', '30888', '-k', KEY, '-m', METHOD], {}],
  ])('starts with %s, runs until a signal and returns 0', async (_, argv, env) => {
    const { code, out, err, started } = await run(argv, env);
    expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
    expect(started).toMatchObject([
      { listen: [{ host: '127.0.0.1', port: 1080 }], servers: [{ host: 'example.com', port: 30888 }] },
    ]);
  });

  test('logs no keys', async () => {
    const { logged } = await run([SERVER_URL, '-v', '--log-format', 'json']);
    expect(logged).toContain('"keys":"[redacted]"');
    expect(logged).toContain('"uri":"[redacted]"');
    for (const secret of secrets) expect(logged).not.toContain(secret);
  });

  test('--check prints what would run, without keys, and starts nothing', async () => {
    const argv = ['--check', SERVER_URL, '--mptcp', '--socks-username', 'bob'];
    const { code, out, err, started } = await run(argv, { SS_SOCKS_PASSWORD: 'hunter2' });
    expect({ code, started }).toEqual({ code: 0, started: [] });
    expect(err).toBe('ss-local: warning: --mptcp: Node.js has no Multipath TCP; carrying on without\n');
    expect(out).toMatch(
      /listen +127\.0\.0\.1:1080\n.*server +example\.com:30888 2022-blake3-aes-256-gcm \(cluster\)\n.*SOCKS users +bob\n/,
    );
    for (const secret of secrets) expect(out).not.toContain(secret);
  });

  test.each<[string[], Partial<ClientConfig>]>([
    [[], { mode: 'tcp_only', udpOverTcp: false }],
    [['-u'], { mode: 'tcp_and_udp', udpOverTcp: false }],
    [['-U'], { mode: 'udp_only', udpOverTcp: false }],
    [['-uU'], { mode: 'udp_only', udpOverTcp: false }],
    [['--udp'], { mode: 'tcp_and_udp', udpOverTcp: false }],
    [['--udp-only'], { mode: 'udp_only', udpOverTcp: false }],
    [['--mode', 'udp_only'], { mode: 'udp_only', udpOverTcp: false }],
    [[], { connectReply: 'auto' }],
    [['--connect-reply', 'early'], { connectReply: 'early' }],
    [['--udp-over-tcp'], { mode: 'tcp_and_udp', udpOverTcp: true }],
    [['-U', '--udp-over-tcp'], { mode: 'udp_only', udpOverTcp: true }],
    [
      ['-u', '--udp-advertise', '192.0.2.1', '--udp-ports', '40000-40001'],
      { mode: 'tcp_and_udp', udpAdvertise: '192.0.2.1', udpPorts: { from: 40_000, to: 40_001 } },
    ],
  ])('starts with %j', async (argv, expected) => {
    const { code, err, started } = await run([SERVER_URL, ...argv]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(started).toMatchObject([expected]);
  });

  test.each<[string[], string[]]>([
    [
      ['-u'],
      [
        'UDP                as datagrams',
        'UDP address        the one that a client has connected to',
        'UDP ports          any',
      ],
    ],
    [
      ['-U', '--udp-over-tcp'],
      ['UDP                inside of TCP connections', 'mode               udp_only'],
    ],
    [
      ['-u', '--udp-advertise', '2001:db8::1', '--udp-ports', '40000-40001'],
      ['UDP address        2001:db8::1', 'UDP ports          40000-40001', 'mode               tcp_and_udp'],
    ],
  ])('--check says what becomes of UDP with %j', async (argv, rows) => {
    const { code, out, err } = await run(['--check', SERVER_URL, ...argv]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map(row => row.trim())).toEqual(expect.arrayContaining(rows));
  });

  test('--check says nothing of UDP addresses and ports where there is no UDP', async () => {
    const { out } = await run(['--check', SERVER_URL]);
    expect(out).toMatch(/^ {2}mode +tcp_only$/m);
    expect(out).not.toMatch(/UDP/);
  });

  test.each([
    [[], 'ss-local: no server; '],
    [['ss://hunter2'], 'ss-local: ss://URL: the ss:// URL is not usable: '],
    [['hunter2'], 'ss-local: ss://URL: the ss:// URL is not usable: it has to begin with ss://'],
    [[SERVER_URL, SERVER_URL], 'ss-local: too many arguments'],
    [['-s', SERVER_URL], 'ss-local: -s (--server): what is given is not a host'],
    [[SERVER_URL, '-u', '--mode', 'tcp_only'], 'ss-local: -u (--udp) and --mode contradict each other; keep one'],
    [[SERVER_URL, '--mode', 'tcp_only', '--udp-over-tcp'], 'ss-local: --udp-over-tcp: carries UDP, and --mode says'],
    [[SERVER_URL, '--udp-ports', '2-1'], 'ss-local: --udp-ports: is no range of ports; '],
    [[SERVER_URL, '-d', '10.0.0.1'], 'ss-local: -d (--nameserver): names are looked up by ss-server; leave it out'],
    [[SERVER_URL, '--plugin', 'obfs-local'], 'ss-local: --plugin: plugins are not available'],
    [['--lokal-port', '1'], '(did you mean --local-port?)'],
  ])('returns 2 for %#', async (argv, message) => {
    const { code, out, err, started } = await run(argv);
    expect({ code, out, started }).toEqual({ code: 2, out: '', started: [] });
    expect(err).toContain(message);
    expect(err.split('\n')).toHaveLength(2);
    for (const secret of secrets) expect(err).not.toContain(secret);
  });
});

describe('--help', () => {
  const flagsIn = (help: string) =>
    [...help.matchAll(/^ {2}(?:(-\S), )?(--[\w-]+)( <[\w-]+>)?/gm)].map(([, ...parts]) => parts);

  test('lists exactly the flags of ss-local', async () => {
    const { out } = await run(['--help']);
    expect(flagsIn(out).map(([short, long]) => short ?? long)).toEqual([
      ...[
        '-s',
        '-p',
        '-b',
        '-l',
        '--socks-username',
        '--socks-password-file',
        '--connect-reply',
        '--udp-over-tcp',
        '--udp-advertise',
        '--udp-ports',
        '--drain-timeout',
        '-k',
        '--password-file',
      ],
      ...[
        '-m',
        '-t',
        '-u',
        '-U',
        '--mode',
        '-c',
        '-n',
        '--max-connections',
        '-6',
        '--no-delay',
        '--reuse-port',
        '--fast-open',
        '--mptcp',
      ],
      ...['--crypto-backend', '--log-level', '--log-format', '-v', '--check', '-V', '-h'],
    ]);
    expect(out).toContain('[options] [ss://URL]');
  });

  test('lists every variable', async () => {
    const { out } = await run(['--help']);
    const variables = new Set(out.match(/\bSS_\w+/g));
    expect([...variables].sort()).toEqual([
      ...[
        'SS_CONFIG',
        'SS_CONNECT_REPLY',
        'SS_CRYPTO_BACKEND',
        'SS_DRAIN_TIMEOUT',
        'SS_LOCAL_ADDRESS',
        'SS_LOCAL_PORT',
        'SS_LOG_FORMAT',
      ],
      ...['SS_LOG_LEVEL', 'SS_MAX_CONNECTIONS', 'SS_METHOD', 'SS_MODE', 'SS_PASSWORD', 'SS_PASSWORD_FILE', 'SS_SERVER'],
      ...[
        'SS_SERVER_PORT',
        'SS_SOCKS_PASSWORD',
        'SS_SOCKS_USERNAME',
        'SS_TIMEOUT',
        'SS_UDP_ADVERTISE',
        'SS_UDP_PORTS',
        'SS_URL',
      ],
    ]);
  });

  test('lists nothing that is not parsed', async () => {
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, 'x', { mode: 0o600 });
    const config = join(folder, 'config.json');
    writeFileSync(config, '{}');
    const values: Record<string, string> = {
      '--method': 'aes-256-gcm',
      '--log-level': 'info',
      '--log-format': 'json',
      '--crypto-backend': 'auto',
      '--mode': 'udp_only',
      '--connect-reply': 'early',
      '--udp-advertise': '192.0.2.1',
      '--udp-ports': '40000-40099',
      '--password-file': keyFile,
      '--socks-password-file': keyFile,
      '--config': config,
    };
    const env = {
      SS_SERVER: 'x',
      SS_METHOD: 'aes-256-gcm',
      SS_PASSWORD: 'x',
      SS_SOCKS_USERNAME: 'x',
      SS_SOCKS_PASSWORD: 'x',
    };
    for (const [short, long, value] of flagsIn((await run(['--help'])).out)) {
      for (const flag of [short, long]) {
        if (!flag) continue;
        const { code, err } = await run(['--check', flag, ...(value ? [values[long!] ?? '1'] : [])], env);
        const refused = long === '--reuse-port' && err.includes('needs Node.js 22.12');
        expect({ flag, code: refused ? 0 : code }).toEqual({ flag, code: 0 });
      }
    }
  });
});
