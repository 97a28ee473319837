import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { configHarness, type Sources } from '@podsocks/shared/settings/config-fixtures';
import { formatSsUrl, type SsUrl } from '@podsocks/shared/wire/ss-url';
import { describe, expect, test } from 'vitest';
import { CLIENT_SETTINGS, type LoadedClient, loadClient } from './config.ts';

const key = (byte: number, length = 32) => Buffer.alloc(length, byte).toString('base64');
const [A, B, C] = [key(1), key(2), key(3)];
const METHOD = methodNamed('2022-blake3-aes-256-gcm');
const keys = (password: string) => clientKeys(METHOD, password);

const url = (parts: Partial<SsUrl> = {}) =>
  formatSsUrl({ method: METHOD.name, password: A, host: 'url.example', port: 30888, ...parts });

const { load, complaint, secretFile } = configHarness(loadClient, ['hunter2', A, encodeURIComponent(A), B, C]);

test('has defaults for everything but the server and its password', () => {
  expect(load({ env: { SS_PASSWORD: A, SS_SERVER: 'example.com' } })).toEqual({
    config: {
      listen: [{ host: '127.0.0.1', port: 1080 }],
      servers: [{ host: 'example.com', port: 8388, method: METHOD, keys: keys(A) }],
      socksUsers: [],
      connectReply: 'auto',
      udpOverTcp: false,
      mode: 'tcp_only',
      timeout: 300_000,
      connectTimeout: 10_000,
      handshakeTimeout: 10_000,
      drainTimeout: 5_000,
      ipv6First: false,
      noDelay: true,
      reusePort: false,
      cryptoBackend: 'auto',
    },
    logLevel: 'info',
    warnings: [],
  });
});

/** Of each setting: the flag as commander gives it, the variable, the field, and what comes of each. */
const settings: readonly {
  name: keyof typeof CLIENT_SETTINGS;
  flag: [unknown, unknown];
  env?: [string, string, unknown];
  file: [string, unknown, unknown];
  /** Absent where there is no default. */
  none?: [unknown];
  pick: (loaded: LoadedClient) => unknown;
}[] = [
  {
    name: 'server',
    flag: [['a'], ['a']],
    env: ['SS_SERVER', 'b,c', ['b', 'c']],
    file: ['server', 'd', ['d']],
    pick: ({ config }) => config.servers.map(({ host }) => host),
  },
  {
    name: 'serverPort',
    flag: ['1', 1],
    env: ['SS_SERVER_PORT', '2', 2],
    file: ['server_port', '3', 3],
    none: [8388],
    pick: ({ config }) => config.servers[0]?.port,
  },
  {
    name: 'localAddress',
    flag: [
      ['::1', '127.0.0.1'],
      ['::1', '127.0.0.1'],
    ],
    env: ['SS_LOCAL_ADDRESS', '10.0.0.2', ['10.0.0.2']],
    file: ['local_address', '10.0.0.3', ['10.0.0.3']],
    none: [['127.0.0.1']],
    pick: ({ config }) => config.listen.map(({ host }) => host),
  },
  {
    name: 'localPort',
    flag: ['0', 0],
    env: ['SS_LOCAL_PORT', '2', 2],
    file: ['local_port', '3', 3],
    none: [1080],
    pick: ({ config }) => config.listen[0]?.port,
  },
  {
    name: 'password',
    flag: [A, keys(A)],
    env: ['SS_PASSWORD', B, keys(B)],
    file: ['password', C, keys(C)],
    pick: ({ config }) => config.servers[0]?.keys,
  },
  {
    name: 'method',
    flag: ['aes-128-gcm', 'aes-128-gcm'],
    env: ['SS_METHOD', 'aes-256-gcm', 'aes-256-gcm'],
    file: ['method', '2022-blake3-chacha20-poly1305', '2022-blake3-chacha20-poly1305'],
    none: ['2022-blake3-aes-256-gcm'],
    pick: ({ config }) => config.servers[0]?.method.name,
  },
  {
    name: 'timeout',
    flag: ['1', 1000],
    env: ['SS_TIMEOUT', '2', 2000],
    file: ['timeout', 3, 3000],
    none: [300_000],
    pick: ({ config }) => config.timeout,
  },
  {
    name: 'drainTimeout',
    flag: ['0', 0],
    env: ['SS_DRAIN_TIMEOUT', '2', 2000],
    file: ['drain_timeout', 3, 3000],
    none: [5_000],
    pick: ({ config }) => config.drainTimeout,
  },
  {
    name: 'mode',
    flag: ['tcp_only', 'tcp_only'],
    env: ['SS_MODE', 'tcp_and_udp', 'tcp_and_udp'],
    file: ['mode', 'udp_only', 'udp_only'],
    none: ['tcp_only'],
    pick: ({ config }) => config.mode,
  },
  {
    name: 'udp',
    flag: [true, 'tcp_and_udp'],
    env: ['SS_MODE', 'tcp_only', 'tcp_only'],
    file: ['mode', 'udp_only', 'udp_only'],
    none: ['tcp_only'],
    pick: ({ config }) => config.mode,
  },
  {
    name: 'udpOnly',
    flag: [true, 'udp_only'],
    env: ['SS_MODE', 'tcp_only', 'tcp_only'],
    file: ['mode', 'tcp_and_udp', 'tcp_and_udp'],
    none: ['tcp_only'],
    pick: ({ config }) => config.mode,
  },
  {
    name: 'connectReply',
    flag: ['early', 'early'],
    env: ['SS_CONNECT_REPLY', 'auto', 'auto'],
    file: ['connect_reply', 'early', 'early'],
    none: ['auto'],
    pick: ({ config }) => config.connectReply,
  },
  {
    name: 'udpOverTcp',
    flag: [true, true],
    file: ['udp_over_tcp', false, false],
    none: [false],
    pick: ({ config }) => config.udpOverTcp,
  },
  {
    name: 'udpAdvertise',
    flag: ['192.0.2.1', '192.0.2.1'],
    env: ['SS_UDP_ADVERTISE', '2001:db8::1', '2001:db8::1'],
    file: ['udp_advertise', '192.0.2.3', '192.0.2.3'],
    none: [undefined],
    pick: ({ config }) => config.udpAdvertise,
  },
  {
    name: 'udpPorts',
    flag: ['1-65535', { from: 1, to: 65_535 }],
    env: ['SS_UDP_PORTS', '40000', { from: 40_000, to: 40_000 }],
    file: ['udp_ports', '50000-50001', { from: 50_000, to: 50_001 }],
    none: [undefined],
    pick: ({ config }) => config.udpPorts,
  },
  {
    name: 'nofile',
    flag: ['1', 1],
    file: ['nofile', 3, 3],
    none: [undefined],
    pick: ({ config }) => config.nofile,
  },
  {
    name: 'maxConnections',
    flag: ['1', 1],
    env: ['SS_MAX_CONNECTIONS', '2', 2],
    file: ['max_connections', 3, 3],
    none: [undefined],
    pick: ({ config }) => config.maxConnections,
  },
  {
    name: 'ipv6First',
    flag: [true, true],
    file: ['ipv6_first', false, false],
    none: [false],
    pick: ({ config }) => config.ipv6First,
  },
  {
    name: 'noDelay',
    flag: [true, true],
    file: ['no_delay', false, false],
    none: [true],
    pick: ({ config }) => config.noDelay,
  },
  {
    name: 'reusePort',
    flag: [true, true],
    file: ['reuse_port', false, false],
    none: [false],
    pick: ({ config }) => config.reusePort,
  },
  {
    name: 'cryptoBackend',
    flag: ['node', 'node'],
    env: ['SS_CRYPTO_BACKEND', 'noble', 'noble'],
    file: ['crypto_backend', 'node', 'node'],
    none: ['auto'],
    pick: ({ config }) => config.cryptoBackend,
  },
  {
    name: 'logLevel',
    flag: ['trace', 'trace'],
    env: ['SS_LOG_LEVEL', 'warn', 'warn'],
    file: ['log_level', 'error', 'error'],
    none: ['info'],
    pick: ({ logLevel }) => logLevel,
  },
  {
    name: 'verbose',
    flag: [true, 'debug'],
    env: ['SS_LOG_LEVEL', 'warn', 'warn'],
    file: ['log_level', 'error', 'error'],
    none: ['info'],
    pick: ({ logLevel }) => logLevel,
  },
  {
    name: 'logFormat',
    flag: ['json', 'json'],
    env: ['SS_LOG_FORMAT', 'pretty', 'pretty'],
    file: ['log_format', 'json', 'json'],
    none: [undefined],
    pick: ({ logFormat }) => logFormat,
  },
];

describe('precedence', () => {
  test.each(settings)(
    '$name: flag over environment over file over default',
    ({ name, flag, env, file, none, pick }) => {
      // Server and password have to come from somewhere; where they are what is tested, the file is the lowest source.
      const base = { file: { server: 'example.com', password: C } };
      const inFile = { file: { ...base.file, [file[0]]: file[1] } };
      const inEnv = { ...inFile, ...(env && { env: { [env[0]]: env[1] } }) };
      if (none) expect(pick(load(base))).toEqual(none[0]);
      expect(pick(load(inFile))).toEqual(file[2]);
      if (env) expect(pick(load(inEnv))).toEqual(env[2]);
      expect(pick(load({ ...inEnv, flags: { [name]: flag[0] } }))).toEqual(flag[1]);
    },
  );

  test('of URLs: argument over SS_URL over file, and a flag over the URL of the environment', () => {
    const file = { server: 'file.example', password: C };
    const hosts = (sources: Sources) => load({ file, ...sources }).config.servers.map(({ host }) => host);
    const env = { SS_URL: url({ host: 'env.example' }) };
    expect(hosts({})).toEqual(['file.example']);
    expect(hosts({ env })).toEqual(['env.example']);
    expect(hosts({ env, flags: { url: url() } })).toEqual(['url.example']);
    expect(load({ env, flags: { serverPort: '1', password: B } }).config.servers).toEqual([
      { host: 'env.example', port: 1, method: METHOD, keys: keys(B) },
    ]);
  });

  test('of SOCKS users', () => {
    const file = { server: 'x', password: C, socks_users: [{ username: 'file', password: 'f' }] };
    const users = (sources: Sources) => load({ file, ...sources }).config.socksUsers;
    const env = { SS_SOCKS_USERNAME: 'env', SS_SOCKS_PASSWORD: 'e' };
    expect(users({})).toEqual([{ username: 'file', password: 'f' }]);
    expect(users({ env })).toEqual([{ username: 'env', password: 'e' }]);
    expect(users({ env, flags: { socksUsername: 'flag' } })).toEqual([{ username: 'flag', password: 'e' }]);
    expect(users({ env, flags: { socksPasswordFile: secretFile('p') } })).toEqual([{ username: 'env', password: 'p' }]);
  });

  test('the tables above have every setting', () => {
    const elsewhere = ['url', 'passwordFile', 'config', 'fastOpen', 'mptcp', 'check'];
    const socks = ['socksUsername', 'socksPasswordFile', 'socksPassword'];
    const tested = [...settings.map(({ name }) => name as string), ...elsewhere, ...socks];
    expect(tested.sort()).toEqual(Object.keys(CLIENT_SETTINGS).sort());
  });

  test('a password file takes the place of a password of its source', () => {
    const passwordFile = secretFile(A);
    const env = { SS_SERVER: 'x', SS_PASSWORD: B };
    expect(load({ env, flags: { passwordFile } }).config.servers[0]?.keys).toEqual(keys(A));
  });

  test('service links change nothing', () => {
    const env = { SS_URL: url(), SS_SERVER_PORT: 'tcp://10.0.0.1:8388', SS_LOCAL_PORT: 'tcp://10.0.0.2:1080' };
    expect(load({ env }).config).toMatchObject({ listen: [{ port: 1080 }], servers: [{ port: 30888 }] });
  });
});

describe('servers', () => {
  test('come from a URL, with its tag as name and the keys of SIP023', () => {
    const { servers } = load({ flags: { url: url({ password: `${B}:${A}`, host: '::1', tag: 'alice' }) } }).config;
    expect(servers).toEqual([{ host: '::1', port: 30888, method: METHOD, keys: keys(`${B}:${A}`), name: 'alice' }]);
    expect(servers[0]?.keys.identityKeys).toHaveLength(1);
  });

  const listed = {
    version: 1,
    method: METHOD.name,
    server_port: 7,
    servers: [
      {
        id: 'x',
        server: 'one',
        server_port: 1,
        password: A,
        method: METHOD.name,
        remarks: 'first',
        plugin: '',
        plugin_opts: '',
      },
      { address: 'two', port: '2', password: B, name: 'second' },
      { server: 'three', password: 'x', method: 'aes-256-gcm', tag: 'third' },
      { server: 'four:4', password: 'hunter2', disabled: true },
    ],
  };

  test('come from a list with the field names of SIP008 and shadowsocks-rust', () => {
    const { config, warnings } = load({ file: listed });
    expect(config.servers).toEqual([
      { host: 'one', port: 1, method: METHOD, keys: keys(A), name: 'first' },
      { host: 'two', port: 2, method: METHOD, keys: keys(B), name: 'second' },
      { host: 'three', port: 7, method: methodNamed('aes-256-gcm'), keys: expect.anything(), name: 'third' },
    ]);
    expect(warnings).toEqual([expect.stringContaining('version'), expect.stringContaining('id: has no effect')]);
  });

  test('of a list get what flags and environment say; a host from there replaces the list', () => {
    const servers = (sources: Sources) => load({ file: listed, ...sources }).config.servers;
    const env = { SS_PASSWORD: C };
    expect(servers({ env, flags: { serverPort: '9', method: METHOD.name } })).toMatchObject([
      { host: 'one', port: 9, keys: keys(C) },
      { host: 'two', port: 9, keys: keys(C) },
      { host: 'three', port: 9, keys: keys(C), method: METHOD },
    ]);
    expect(servers({ env, flags: { server: ['other'] } })).toEqual([
      { host: 'other', port: 7, method: METHOD, keys: keys(C) },
    ]);
  });

  test('may have their port behind the host, as in shadowsocks-libev', () => {
    const file = { server: ['one:1', '[::1]:2', 'three'], password: A };
    expect(load({ file }).config.servers.map(({ host, port }) => [host, port])).toEqual([
      ['one', 1],
      ['::1', 2],
      ['three', 8388],
    ]);
  });
});

const server = { server: 'x', password: A };

describe('what is carried', () => {
  const modeOf = (sources: Sources) => {
    const { config, warnings } = load(sources);
    expect(warnings).toEqual([]);
    return config.mode;
  };

  test.each<[Record<string, unknown>, string]>([
    [{ udp: true }, 'tcp_and_udp'],
    [{ udpOnly: true }, 'udp_only'],
    [{ udp: true, udpOnly: true }, 'udp_only'],
    [{ udp: true, mode: 'tcp_and_udp' }, 'tcp_and_udp'],
    [{ udpOnly: true, mode: 'udp_only' }, 'udp_only'],
  ])('%j means %s, whatever environment and file say', (flags, mode) => {
    expect(modeOf({ file: { ...server, mode: 'tcp_only' }, env: { SS_MODE: 'tcp_only' }, flags })).toBe(mode);
  });

  const listed = (mode?: string) => ({
    servers: [
      { ...server, ...(mode && { mode }) },
      { ...server, server: 'y' },
    ],
  });

  test('is what the entry of the server in "servers" says, where nothing else does', () => {
    expect(modeOf({ file: listed() })).toBe('tcp_only');
    for (const mode of ['tcp_only', 'tcp_and_udp', 'udp_only']) expect(modeOf({ file: listed(mode) })).toBe(mode);
    expect(modeOf({ file: { ...listed('udp_only'), mode: 'tcp_and_udp' } })).toBe('tcp_and_udp');
    expect(modeOf({ file: listed('udp_only'), env: { SS_MODE: 'tcp_only' } })).toBe('tcp_only');
    expect(modeOf({ file: listed('udp_only'), flags: { udp: true } })).toBe('tcp_and_udp');
  });

  test('is not what an entry says that is not used', () => {
    const { servers } = listed('udp_only');
    expect(modeOf({ file: { servers: [{ ...servers[0], disabled: true }, servers[1]] } })).toBe('tcp_only');
    expect(modeOf({ file: { servers }, flags: { server: ['z'], password: A } })).toBe('tcp_only');
  });

  test('of an entry stays with its server', () => {
    const [first, second] = load({ file: listed('udp_only') }).config.servers;
    expect(first?.mode).toEqual({ value: 'udp_only', from: expect.stringMatching(/: servers\[0\]\.mode$/) });
    expect(second).not.toHaveProperty('mode');
  });

  test.each<[string, Sources]>([
    ['a flag', { file: server, flags: { udpOverTcp: true } }],
    ['the file', { file: { ...server, udp_over_tcp: true } }],
    ['a list of servers', { file: { ...listed(), udp_over_tcp: true } }],
  ])('is UDP, too, where %s asks for UDP over TCP and nothing says a mode', (_, sources) => {
    const { config } = load(sources);
    expect(config).toMatchObject({ mode: 'tcp_and_udp', udpOverTcp: true });
  });

  test('may be UDP alone, over TCP', () => {
    const { config } = load({ file: { ...server, udp_over_tcp: true }, flags: { udpOnly: true } });
    expect(config).toMatchObject({ mode: 'udp_only', udpOverTcp: true });
  });

  test('is TCP alone where UDP over TCP is turned off', () => {
    expect(load({ file: { ...server, udp_over_tcp: false } }).config).toMatchObject({
      mode: 'tcp_only',
      udpOverTcp: false,
    });
  });

  test.each<[Sources, string]>([
    [
      { file: server, flags: { udpOverTcp: true, mode: 'tcp_only' } },
      '--udp-over-tcp: carries UDP, and --mode says tcp_only; leave one out',
    ],
    [{ file: server, flags: { udp: true, mode: 'tcp_only' } }, '-u (--udp) and --mode contradict each other; keep one'],
    [
      { file: server, flags: { udpOnly: true, mode: 'tcp_and_udp' } },
      '-U (--udp-only) and --mode contradict each other; keep one',
    ],
  ])('is refused where two say different things: %#', (sources, expected) => {
    expect(complaint(sources)).toContain(expected);
  });

  test.each([
    [
      { file: { ...server, udp_over_tcp: true }, env: { SS_MODE: 'tcp_only' } },
      { mode: 'tcp_only', udpOverTcp: false },
    ],
    [
      { file: { ...server, udp_over_tcp: true }, flags: { mode: 'udp_only' } },
      { mode: 'udp_only', udpOverTcp: true },
    ],
    [
      { file: { ...server, mode: 'tcp_only' }, flags: { udpOverTcp: true } },
      { mode: 'tcp_and_udp', udpOverTcp: true },
    ],
    [
      { file: listed('tcp_only'), flags: { udpOverTcp: true } },
      { mode: 'tcp_and_udp', udpOverTcp: true },
    ],
  ])('is what the higher source says: %#', (sources, expected) => {
    expect(load(sources).config).toMatchObject(expected);
  });
});

describe('without SOCKS users', () => {
  test.each([
    [['0.0.0.0'], '0.0.0.0:1080'],
    [['127.0.0.1', '::', '10.0.0.1'], '[::]:1080, 10.0.0.1:1080'],
    [['128.0.0.1'], '128.0.0.1:1080'],
    [['::ffff:10.0.0.1'], '[::ffff:10.0.0.1]:1080'],
    [['laptop.example'], 'laptop.example:1080'],
  ])('listening on %j gives one warning, with the mend', (localAddress, open) => {
    expect(load({ file: server, flags: { localAddress } }).warnings).toEqual([
      `-b (--local-address): anyone who can reach ${open} can use the tunnel; ` +
        'give "socks_users" or --socks-username, or listen for this machine only: -b 127.0.0.1',
    ]);
  });

  test('the warning names the place of the address', () => {
    const { warnings } = load({ file: { ...server, local_address: '0.0.0.0' } });
    expect(warnings).toEqual([expect.stringContaining('local_address: anyone who can reach 0.0.0.0:1080')]);
  });

  test.each(['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost'])(
    'listening on %s gives none',
    address => {
      expect(load({ file: server, flags: { localAddress: [address] } }).warnings).toEqual([]);
    },
  );
});

test.each(['udp_timeout', 'udp_max_associations'])('%s of ss-server has no effect, and the warning says why', field => {
  expect(load({ file: { ...server, [field]: 100 } }).warnings).toEqual([
    expect.stringMatching(new RegExp(`${field}: has no effect.*lasts as long as the connection`)),
  ]);
});

test('with SOCKS users, listening for others gives no warning', () => {
  const file = { ...server, local_address: '0.0.0.0', socks_users: [{ username: 'a', password: 'b' }] };
  expect(load({ file }).warnings).toEqual([]);
});

test.each<[Sources, string]>([
  [{}, 'no server; give an ss:// URL, -s (--server), SS_URL'],
  [{ flags: { server: ['x'] } }, '-s (--server): no password for x; give it as SS_PASSWORD'],
  [{ flags: { url: 'ss://hunter2' } }, 'ss://URL: the ss:// URL is not usable'],
  [{ env: { SS_URL: 'ss://hunter2' } }, 'SS_URL: the ss:// URL is not usable'],
  [
    { flags: { url: url({ plugin: 'obfs-local' }) } },
    'ss://URL: the server wants a plugin, and plugins are not available yet',
  ],
  [
    { flags: { url: url(), server: ['x'] } },
    'ss://URL and -s (--server) both say how to reach the server; leave one out',
  ],
  [{ flags: { url: url(), password: 'hunter2' } }, 'ss://URL and -k (--password) both'],
  [{ env: { SS_URL: url(), SS_METHOD: 'aes-256-gcm' } }, 'SS_URL and SS_METHOD both'],
  [{ flags: { url: url({ password: 'hunter2' }) } }, 'ss://URL: the key of 2022-blake3-aes-256-gcm has to be 32 bytes'],
  [{ env: { SS_PASSWORD: 'hunter2', SS_SERVER: 'x' } }, 'SS_PASSWORD: the key of'],
  [
    { file: { ...server, servers: [{ server: 'y', password: A }] } },
    'server: is given beside "servers"; put it into the list',
  ],
  [{ file: { servers: [] } }, 'servers: has no server that is not disabled; add one'],
  [{ file: { servers: [{ ...server, disabled: true }] } }, 'servers: has no server that is not disabled'],
  [{ file: { servers: [{ password: A }] } }, 'servers[0]: has no host; add "server"'],
  [{ file: { servers: [server, { server: 'y' }] } }, 'servers[1]: no password for y; give it'],
  [{ file: { servers: [{ server: 'y', password: 'hunter2' }] } }, 'servers[0].password: the key of'],
  [
    { file: { servers: [{ ...server, server_port: 0 }] } },
    'servers[0].server_port: "0" is not a port; give a number from 1',
  ],
  [{ file: { servers: [{ ...server, plugin: 'obfs-local' }] } }, 'servers[0].plugin: plugins are not available yet'],
  [
    { file: { servers: [{ ...server, mode: 'udp' }] } },
    'servers[0].mode: "udp" is not one of tcp_only, tcp_and_udp, udp_only',
  ],
  [{ file: { ...server, mode: 'udp' } }, 'mode: "udp" is not one of tcp_only, tcp_and_udp, udp_only'],
  [{ file: server, env: { SS_MODE: 'TCP' } }, 'SS_MODE: "TCP" is not one of tcp_only, tcp_and_udp, udp_only'],
  [{ file: server, flags: { mode: '' } }, '--mode: "" is not one of tcp_only, tcp_and_udp, udp_only'],
  [{ file: { ...server, udp_over_tcp: 'yes' } }, 'udp_over_tcp: has to be true or false'],
  [
    { file: server, flags: { udpAdvertise: 'laptop.example' } },
    '--udp-advertise: is not an IP address; give the one under which clients reach this machine',
  ],
  [{ file: server, env: { SS_UDP_ADVERTISE: '10.0.0.1:53' } }, 'SS_UDP_ADVERTISE: is not an IP address; give the one'],
  [{ file: server, flags: { connectReply: 'late' } }, '--connect-reply: "late" is not one of auto, early'],
  [{ file: { ...server, udp_advertise: '10.0.0' } }, 'udp_advertise: is not an IP address; give the one'],
  [{ file: { ...server, udp_advertise: ['10.0.0.1'] } }, 'udp_advertise: has to be text in double quotes'],
  [
    { file: server, flags: { udpPorts: '40099-40000' } },
    '--udp-ports: is no range of ports; give the first and the last, such as 40000-40099',
  ],
  ...['0', '0-5', '1-65536', '-5', '5-', '', ' 5', '5 - 6', '1-2-3', '1.5', '4e4', 'any'].map(
    (udpPorts): [Sources, string] => [{ file: server, flags: { udpPorts } }, '--udp-ports: is no range of ports; give'],
  ),
  [{ file: server, env: { SS_UDP_PORTS: '70000' } }, 'SS_UDP_PORTS: is no range of ports; give'],
  [{ file: { ...server, udp_ports: '2-1' } }, 'udp_ports: is no range of ports; give'],
  [{ file: { ...server, udp_ports: 40_000 } }, 'udp_ports: has to be text in double quotes'],
  [
    { file: { servers: [{ ...server, serverport: 1 }] } },
    'servers[0].serverport: unknown field; did you mean "server_port"?',
  ],
  [{ file: { server: 'x:0', password: A } }, 'server: no server has port 0; give its port'],
  [{ file: { ...server, users: [{ name: 'a', password: 'hunter2' }] } }, 'users: they belong to ss-server'],
  [{ file: { ...server, protocol: 'http' } }, 'protocol: "http" is not one of socks'],
  [
    { file: { ...server, nameserver: '10.0.0.1' } },
    'nameserver: names are looked up by ss-server; put it into its file',
  ],
  [{ file: { ...server, acl: 'x' } }, 'acl: ss-local has no access control list yet'],
  [
    { file: { ...server, local_address: '127.0.0.1:1080' } },
    'local_address: is an address with a port; give the port as -l',
  ],
  [
    { file: server, flags: { socksUsername: 'a' } },
    '--socks-username: there is no password for it; give --socks-password-file',
  ],
  [{ file: server, env: { SS_SOCKS_PASSWORD: 'hunter2' } }, 'SS_SOCKS_PASSWORD: there is no user name for it; give'],
  [
    { file: { ...server, socks_users: [{ username: '', password: 'hunter2' }] } },
    'socks_users: a SOCKS username has 1 to 255 bytes',
  ],
  [
    { file: server, env: { SS_SOCKS_USERNAME: 'a', SS_SOCKS_PASSWORD: 'hunter2'.repeat(40) } },
    'SS_SOCKS_USERNAME: a SOCKS password has 1 to 255 bytes, this one has 280; give another',
  ],
  [
    {
      file: {
        ...server,
        socks_users: [
          { username: 'a', password: 'hunter2' },
          { username: 'a', password: 'hunter2' },
        ],
      },
    },
    'socks_users: a user name is there twice; give each user its own',
  ],
])('an error names place, fault and mend, never the secret: %#', (sources, expected) => {
  expect(complaint(sources)).toContain(expected);
});
