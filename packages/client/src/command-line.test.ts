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

  test.each(['-V', '--version'])('%s prints the version, once', async flag => {
    expect(await run([flag])).toMatchObject({ code: 0, out: '1.2.3\n', err: '', started: [] });
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
      /listen +127\.0\.0\.1:1080\n.*server +example\.com:30888 2022-blake3-aes-256-gcm \(cluster\)\n[\s\S]*SOCKS users +bob\n/,
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

  test.each<[string[], string[]]>([
    [
      [],
      [
        'upstream           none',
        'preconnected       0',
        "route              what is the cluster's through the tunnel, all else directly, if the server tells what its " +
          'cluster is; else everything through the tunnel',
        'local DNS          off',
        'SOCKS users        everybody who reaches the port',
        'connect reply      once the target is reached, if the server tells',
      ],
    ],
    [
      ['--servers-url', 'https://example.com/hunter2', '--upstream', 'http://ada:hunter2@proxy:3128', '--preconnect=4'],
      [
        'server list        https://example.com/…',
        'upstream           http://ada:…@proxy:3128',
        'preconnected       4',
      ],
    ],
    [['--servers-file', 'list.json'], ['server list        list.json']],
    [
      ['--plugin', 'obfs-local', '--plugin-opts', 'obfs=http;key=hunter2'],
      ['server             example.com:30888 2022-blake3-aes-256-gcm (cluster), through obfs-local, with options'],
    ],
    [
      ['--plugin', './mine'],
      ['server             example.com:30888 2022-blake3-aes-256-gcm (cluster), through ./mine'],
    ],
    [
      [
        '--route-default',
        'direct',
        '--tunnel',
        '10.0.0.0/8',
        '--reject',
        ':25',
        '--namespace',
        'a',
        '--namespace',
        'b',
      ],
      ['route              by rules; where none applies, direct', 'route rules        2', 'namespaces         a, b'],
    ],
    [['--route', 'all'], ['route              everything through the tunnel']],
    [
      ['-L', '5432:db.default:5432', '-L', '[::1]:53:10.96.0.10:53/udp', '--map', 'Redis-0.redis:6379'],
      [
        'forward            127.0.0.1:5432/tcp to db.default:5432',
        'forward            [::1]:53/udp to 10.96.0.10:53',
        'map                redis-0.redis:6379',
      ],
    ],
    [
      ['--dns'],
      [
        'local DNS          127.0.0.1:5354',
        'cluster DNS        as the server says',
        'DNS zones          as the server says',
        "DNS upstream       the system's",
      ],
    ],
    [
      ['--dns=[::1]:53', '--dns-server', '10.96.0.10', '--dns-zone', 'a.example', '--dns-upstream', '192.0.2.1:5300'],
      [
        'local DNS          [::1]:53',
        'cluster DNS        10.96.0.10:53',
        'DNS zones          as the server says, a.example',
        'DNS upstream       192.0.2.1:5300',
      ],
    ],
    [
      ['--lan', '--lan-open', '--lan-allow', '192.168.1.0/24', '--max-connections-per-client', '7', '-b', '192.0.2.1'],
      ['listen             192.0.2.1:1080', 'other machines     192.168.1.0/24; 7 connections each'],
    ],
  ])('--check shows what comes of %j', async (argv, rows) => {
    const { code, out, err } = await run(['--check', SERVER_URL, ...argv]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map(row => row.trim())).toEqual(expect.arrayContaining(rows));
    for (const secret of secrets) expect(out).not.toContain(secret);
  });

  test('a URL ahead of a subcommand wins over the environment, as it does without one', async () => {
    const url = formatSsUrl({ method: METHOD, password: KEY, host: '127.0.0.1', port: 1 });
    const env = { SS_SERVER: 'other.example', SS_SERVER_PORT: '2' };
    const { code, out, err } = await run([url, 'doctor'], env);
    expect({ code, err }).toEqual({ code: 11, err: '' });
    expect(out).toMatch(/^127\.0\.0\.1:1\n/);
  });

  test('--check says nothing of cluster DNS, server lists and other machines where there are none', async () => {
    const { out } = await run(['--check', SERVER_URL]);
    expect(out).not.toMatch(/cluster DNS|DNS zones|DNS upstream|server list|other machines|forward|map/);
  });

  test('--check says nothing of UDP addresses and ports where there is no UDP', async () => {
    const { out } = await run(['--check', SERVER_URL]);
    expect(out).toMatch(/^ {2}mode +tcp_only$/m);
    expect(out).not.toMatch(/UDP/);
  });

  test.each([
    [[], 'ss-local: no server; '],
    [['ss://hunter2'], 'ss-local: ss://URL: the ss:// URL is not usable: '],
    [['stauts'], 'ss-local: an argument is neither an ss:// URL nor one of the subcommands: status, doctor,'],
    [[SERVER_URL, 'stauts'], 'ss-local: an argument is neither'],
    [['hunter2'], 'ss-local: ss://URL: the ss:// URL is not usable: it has to begin with ss://'],
    [[SERVER_URL, 'hunter2'], 'ss-local: ss://URL: the ss:// URL is not usable: '],
    [
      [SERVER_URL, '--lan'],
      'ss-local: --lan: everybody on the local network could use the tunnel; give --socks-username',
    ],
    [[SERVER_URL, '--lan-allow', '10.0.0.0/8'], 'ss-local: --lan-allow: says whom --lan lets in; add --lan'],
    [[SERVER_URL, '-L', '1000:a:1', '-L', '1000:b:1'], 'ss-local: -L (--forward): 127.0.0.1:1000/tcp is to be two'],
    [[SERVER_URL, '-L', '1080:a:1'], 'ss-local: -L (--forward): 127.0.0.1:1080/tcp belongs to SOCKS and HTTP (-b, -l)'],
    [
      ['--servers-url', 'https://a.example/hunter2', '--servers-file', 'x'],
      '--servers-url and --servers-file both say',
    ],
    [[SERVER_URL, '--upstream', 'http://a:hunter2@b'], 'ss-local: --upstream: has no port'],
    [['--dns', SERVER_URL], 'ss-local: --dns: is a URL; put the URL ahead of --dns'],
    [[SERVER_URL, '--plugin-opts', 'hunter2'], 'ss-local: --plugin-opts: there is no plugin for them; give one with'],
    [
      [SERVER_URL, '--plugin', 'x', '--upstream', 'http://a:1'],
      'ss-local: --upstream: a plugin (--plugin) connects by',
    ],
    [[SERVER_URL, '--acl', '/no/such'], 'ss-local: --acl: cannot read /no/such (ENOENT)'],
    [[SERVER_URL, '--namespace', 'a.b'], 'ss-local: --namespace: "a.b" is no namespace'],
    [['-s', SERVER_URL], 'ss-local: -s (--server): what is given is not a host'],
    [[SERVER_URL, '-u', '--mode', 'tcp_only'], 'ss-local: -u (--udp) and --mode contradict each other; keep one'],
    [[SERVER_URL, '--mode', 'tcp_only', '--udp-over-tcp'], 'ss-local: --udp-over-tcp: carries UDP, and --mode says'],
    [[SERVER_URL, '--udp-ports', '2-1'], 'ss-local: --udp-ports: is no range of ports; '],
    [[SERVER_URL, '-d', '10.0.0.1'], 'ss-local: -d (--nameserver): names are looked up by ss-server; leave it out'],
    [['--lokal-port', '1'], '(did you mean --local-port?)'],
    [['-s'], 'ss-local: option -s argument missing; see: ss-local --help'],
    [[SERVER_URL, '-s', 'other', 'doctor'], 'ss-local: ss://URL and -s (--server) both say how to reach the server'],
    [[SERVER_URL, 'status', '-l'], 'argument missing; see: ss-local --help'],
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
    [...help.matchAll(/^ {2}(?:(-\S), )?(--[\w-]+)( <\S+>)?/gm)].map(([, ...parts]) => parts);

  test('lists exactly the flags of ss-local', async () => {
    const { out } = await run(['--help']);
    expect(flagsIn(out).map(([short, long]) => short ?? long)).toEqual([
      ...[
        '-s',
        '-p',
        '--servers-url',
        '--servers-file',
        '--upstream',
        '--preconnect',
        '--plugin',
        '--plugin-opts',
        '-b',
        '-l',
        '--lan',
        '--lan-allow',
        '--lan-open',
        '--max-connections-per-client',
        '--socks-username',
        '--socks-password-file',
        '--connect-reply',
        '--udp-over-tcp',
        '--udp-advertise',
        '--udp-ports',
      ],
      ...['--route', '--tunnel', '--direct', '--reject', '--route-default', '--acl', '--namespace'],
      ...['-L', '--map', '--dns', '--dns-server', '--dns-zone', '--dns-upstream', '--drain-timeout', '-k'],
      '--password-file',
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
    expect(out).toContain('[options] [command] [ss://URL...]');
  });

  test('lists every subcommand', async () => {
    const { out } = await run(['--help']);
    const commands = [...out.slice(out.indexOf('\nCommands:')).matchAll(/^ {2}([a-z][\w-]*)/gm)].map(
      ([, name]) => name,
    );
    expect(commands.filter(name => name !== 'ss-local')).toEqual([
      'status',
      'doctor',
      'env',
      'run',
      'system-proxy',
      'proxifier',
      'dns',
    ]);
  });

  test('lists every variable', async () => {
    const { out } = await run(['--help']);
    const variables = new Set(out.match(/\bSS_\w+/g));
    expect([...variables].sort()).toEqual([
      ...['SS_ACL', 'SS_CONFIG', 'SS_CONNECT_REPLY', 'SS_CRYPTO_BACKEND', 'SS_DIRECT'],
      ...['SS_DNS', 'SS_DNS_SERVER', 'SS_DNS_UPSTREAM', 'SS_DNS_ZONE'],
      ...['SS_DRAIN_TIMEOUT', 'SS_LOCAL_ADDRESS', 'SS_LOCAL_PORT', 'SS_LOG_FORMAT'],
      ...['SS_LOG_LEVEL', 'SS_MAX_CONNECTIONS', 'SS_METHOD', 'SS_MODE', 'SS_NAMESPACE'],
      ...[
        'SS_PASSWORD',
        'SS_PASSWORD_FILE',
        'SS_PLUGIN',
        'SS_PLUGIN_OPTS',
        'SS_PRECONNECT',
        'SS_REJECT',
        'SS_ROUTE',
        'SS_ROUTE_DEFAULT',
      ],
      ...['SS_SERVER', 'SS_SERVERS_FILE', 'SS_SERVERS_URL'],
      ...[
        'SS_SERVER_PORT',
        'SS_SOCKS_PASSWORD',
        'SS_SOCKS_USERNAME',
        'SS_TIMEOUT',
        'SS_TUNNEL',
        'SS_UDP_ADVERTISE',
        'SS_UDP_PORTS',
        'SS_UPSTREAM',
        'SS_URL',
      ],
    ]);
  });

  test('lists nothing that is not parsed', async () => {
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, 'x', { mode: 0o600 });
    const config = join(folder, 'config.json');
    writeFileSync(config, '{}');
    const acl = join(folder, 'my.acl');
    writeFileSync(acl, '[bypass_all]\n');
    const beside: Record<string, string[]> = {
      '--lan-allow': ['--lan'],
      '--lan-open': ['--lan'],
      '--max-connections-per-client': ['--lan'],
      '--plugin-opts': ['--plugin', 'x'],
    };
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
      '--servers-url': 'https://example.com/',
      '--upstream': 'http://proxy:3128',
      '--lan-allow': '10.0.0.0/8',
      '--route': 'rules',
      '--tunnel': '*.a.example:443',
      '--direct': '10.0.0.0/8',
      '--reject': ':25',
      '--route-default': 'direct',
      '--acl': acl,
      '--forward': '[::1]:1:a:2/udp',
      '--map': 'a:1',
      '--namespace': 'a',
      '--dns-server': '10.96.0.10',
      '--dns-zone': 'a.example',
      '--dns-upstream': '[::1]:53',
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
        const argv = ['--check', ...(beside[long!] ?? []), flag, ...(value ? [values[long!] ?? '1'] : [])];
        const { code, err } = await run(argv, env);
        const refused = long === '--reuse-port' && err.includes('needs Node.js 22.12');
        expect({ flag, code: refused ? 0 : code }).toEqual({ flag, code: 0 });
      }
    }
  });
});
