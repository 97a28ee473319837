import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

const { load, complaint, secretFile, path } = configHarness(loadClient, ['hunter2', A, encodeURIComponent(A), B, C]);

/** The path of an access control list beside the configuration file. */
function aclFile(name: string): string {
  const file = join(dirname(path()), `${name}.acl`);
  writeFileSync(file, '[bypass_all]\n[proxy_list]\n10.0.0.0/8\n');
  return file;
}

test('has defaults for everything but the server and its password', () => {
  expect(load({ env: { SS_PASSWORD: A, SS_SERVER: 'example.com' } })).toEqual({
    config: {
      listen: [{ host: '127.0.0.1', port: 1080 }],
      servers: [{ host: 'example.com', port: 8388, method: METHOD, keys: keys(A) }],
      socksUsers: [],
      connectReply: 'auto',
      udpOverTcp: false,
      preconnect: 0,
      route: { rules: [], default: 'tunnel', namespaces: [] },
      forwards: [],
      maps: [],
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

/** What --lan asks for. */
const PASSWORD = { socks_users: [{ username: 'a', password: 'b' }] };

const name = (host: string, port: number) => ({ type: 'name', host, port });
const rulesTo = ({ config }: LoadedClient) => config.route.rules.map(({ way, to }) => [way, to]);
const route = (way: string, name: string) => [[way, [{ kind: 'name', name }]]];

/** Of each setting: the flag as commander gives it, the variable, the field, and what comes of each. */
const settings: readonly {
  name: keyof typeof CLIENT_SETTINGS;
  flag: [unknown, unknown];
  env?: [string, string, unknown];
  /** Absent where the file says it in another way. */
  file?: [string, unknown, unknown];
  /** Fields without which it means nothing. */
  beside?: Record<string, unknown>;
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
    name: 'serversUrl',
    flag: ['https://a.example/', 'https://a.example/'],
    env: ['SS_SERVERS_URL', 'https://b.example/', 'https://b.example/'],
    file: ['servers_url', 'https://c.example/', 'https://c.example/'],
    none: [undefined],
    pick: ({ config: { document } }) => (document?.kind === 'url' ? document.url.href : document),
  },
  {
    name: 'serversFile',
    flag: ['a', { kind: 'file', path: 'a' }],
    env: ['SS_SERVERS_FILE', 'b', { kind: 'file', path: 'b' }],
    file: ['servers_file', 'c', { kind: 'file', path: 'c' }],
    none: [undefined],
    pick: ({ config }) => config.document,
  },
  {
    name: 'upstream',
    flag: ['socks5://u:p@a:1', { kind: 'socks5', host: 'a', port: 1, user: { name: 'u', password: 'p' } }],
    env: ['SS_UPSTREAM', 'http://b:2', { kind: 'http', host: 'b', port: 2 }],
    file: ['upstream', 'socks5h://[::1]:3', { kind: 'socks5', host: '::1', port: 3 }],
    none: [undefined],
    pick: ({ config }) => config.upstream,
  },
  {
    name: 'preconnect',
    flag: ['0', 0],
    env: ['SS_PRECONNECT', '32', 32],
    file: ['preconnect', 3, 3],
    none: [0],
    pick: ({ config }) => config.preconnect,
  },
  {
    name: 'plugin',
    flag: ['a', 'a'],
    env: ['SS_PLUGIN', './b', './b'],
    file: ['plugin', 'c', 'c'],
    none: [undefined],
    pick: ({ config }) => config.servers[0]?.plugin?.command,
  },
  {
    name: 'pluginOpts',
    flag: ['a=1;b', 'a=1;b'],
    env: ['SS_PLUGIN_OPTS', 'c', 'c'],
    file: ['plugin_opts', 'd', 'd'],
    beside: { plugin: 'x' },
    none: [undefined],
    pick: ({ config }) => config.servers[0]?.plugin?.options,
  },
  {
    name: 'lan',
    flag: [true, true],
    file: ['lan', false, false],
    beside: PASSWORD,
    none: [false],
    pick: ({ config }) => config.lan !== undefined,
  },
  {
    name: 'lanAllow',
    flag: [
      ['10.0.0.0/8', 'fd00::1'],
      ['10.0.0.0/8', 'fd00::1/128'],
    ],
    file: ['lan_allow', '192.0.2.1', ['192.0.2.1/32']],
    beside: { lan: true, ...PASSWORD },
    none: [['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10']],
    pick: ({ config }) => config.lan?.allow,
  },
  {
    name: 'maxConnectionsPerClient',
    flag: ['1', 1],
    file: ['max_connections_per_client', 3, 3],
    beside: { lan: true, ...PASSWORD },
    none: [512],
    pick: ({ config }) => config.lan?.maxPerClient,
  },
  {
    name: 'route',
    flag: ['all', 'all'],
    env: ['SS_ROUTE', 'auto', 'auto'],
    file: ['route', 'rules', 'rules'],
    none: [undefined],
    pick: ({ config }) => config.route.mode,
  },
  {
    name: 'tunnel',
    flag: [['a'], route('tunnel', 'a')],
    env: ['SS_TUNNEL', 'b', route('tunnel', 'b')],
    none: [[]],
    pick: rulesTo,
  },
  {
    name: 'direct',
    flag: [['a'], route('direct', 'a')],
    env: ['SS_DIRECT', 'b', route('direct', 'b')],
    none: [[]],
    pick: rulesTo,
  },
  {
    name: 'reject',
    flag: [['a'], route('reject', 'a')],
    env: ['SS_REJECT', 'b', route('reject', 'b')],
    none: [[]],
    pick: rulesTo,
  },
  {
    name: 'routeDefault',
    flag: ['direct', ['rules', 'direct']],
    env: ['SS_ROUTE_DEFAULT', 'tunnel', ['rules', 'tunnel']],
    file: ['route_default', 'reject', ['rules', 'reject']],
    none: [[undefined, 'tunnel']],
    pick: ({ config: { route } }) => [route.mode, route.default],
  },
  {
    name: 'namespace',
    flag: [
      ['b', 'a', 'b'],
      ['b', 'a'],
    ],
    env: ['SS_NAMESPACE', 'c, d', ['c', 'd']],
    file: ['namespace', 'e', ['e']],
    none: [[]],
    pick: ({ config }) => config.route.namespaces,
  },
  {
    name: 'forward',
    flag: [['1:a:2/udp'], [{ listen: { host: '127.0.0.1', port: 1 }, target: name('a', 2), protocol: 'udp' }]],
    file: ['forwards', ['[::1]:3:c:4'], [{ listen: { host: '::1', port: 3 }, target: name('c', 4), protocol: 'tcp' }]],
    none: [[]],
    pick: ({ config }) => config.forwards,
  },
  {
    name: 'map',
    flag: [['a:1'], [name('a', 1)]],
    file: ['maps', ['b:2', 'c:3'], [name('b', 2), name('c', 3)]],
    none: [[]],
    pick: ({ config }) => config.maps,
  },
  {
    name: 'dns',
    flag: [true, [{ host: '127.0.0.1', port: 5354 }]],
    env: ['SS_DNS', 'off', undefined],
    file: ['dns', '[::1]:53', [{ host: '::1', port: 53 }]],
    none: [undefined],
    pick: ({ config }) => config.dns?.listen,
  },
  {
    name: 'dnsServer',
    flag: [['a'], [{ host: 'a', port: 53 }]],
    env: ['SS_DNS_SERVER', '10.96.0.10:1053', [{ host: '10.96.0.10', port: 1053 }]],
    file: ['dns_server', '10.96.0.11', [{ host: '10.96.0.11', port: 53 }]],
    beside: { dns: 'on' },
    none: [[]],
    pick: ({ config }) => config.dns?.servers,
  },
  {
    name: 'dnsZone',
    flag: [
      ['A.example.', '.'],
      ['a.example', '.'],
    ],
    env: ['SS_DNS_ZONE', 'b.example, c.example', ['b.example', 'c.example']],
    file: ['dns_zone', 'd.example', ['d.example']],
    beside: { dns: 'on' },
    none: [[]],
    pick: ({ config }) => config.dns?.zones,
  },
  {
    name: 'dnsUpstream',
    flag: [['::1'], [{ host: '::1', port: 53 }]],
    env: ['SS_DNS_UPSTREAM', '192.0.2.2:5300', [{ host: '192.0.2.2', port: 5300 }]],
    file: ['dns_upstream', '192.0.2.3', [{ host: '192.0.2.3', port: 53 }]],
    beside: { dns: 'on' },
    none: [[]],
    pick: ({ config }) => config.dns?.upstreams,
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
    ({ name, flag, env, file, beside, none, pick }) => {
      // Server and password have to come from somewhere; where they are what is tested, the file is the lowest source.
      const base = { file: { server: 'example.com', password: C, ...beside } };
      const inFile = file ? { file: { ...base.file, [file[0]]: file[1] } } : base;
      const inEnv = { ...inFile, ...(env && { env: { [env[0]]: env[1] } }) };
      if (none) expect(pick(load(base))).toEqual(none[0]);
      if (file) expect(pick(load(inFile))).toEqual(file[2]);
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

  test('of a SOCKS user whom HTTP does not know', () => {
    const file = { server: 'x', password: C, socks_users: [{ username: 'a:b', password: 'f' }] };
    const { config, warnings } = load({ file });
    expect(config.socksUsers).toEqual([{ username: 'a:b', password: 'f' }]);
    expect(warnings).toContainEqual(expect.stringContaining('socks_users: a user name has a colon'));
  });

  test('of access control lists', () => {
    const lists = (sources: Sources) => load(sources).config.route.rules.map(({ from }) => from);
    const file = { server: 'x', password: C, acl: aclFile('file') };
    const env = { SS_ACL: aclFile('env') };
    expect(lists({ file })).toEqual([`${path()}: acl ${file.acl}: [proxy_list]`]);
    expect(lists({ file, env })).toEqual([`SS_ACL ${env.SS_ACL}: [proxy_list]`]);
    const acl = aclFile('flag');
    expect(lists({ file, env, flags: { acl } })).toEqual([`--acl ${acl}: [proxy_list]`]);
    expect(load({ file }).config.route).toMatchObject({ mode: 'rules', default: 'direct' });
  });

  test('of a list of servers: the file or the URL of the higher source', () => {
    const document = (sources: Sources) => load(sources).config.document;
    const file = { servers_url: 'https://file.example/' };
    const env = { SS_SERVERS_FILE: 'env' };
    expect(document({ file, env })).toEqual({ kind: 'file', path: 'env' });
    expect(document({ file, env, flags: { serversUrl: 'https://flag.example/' } })).toMatchObject({
      kind: 'url',
      url: { host: 'flag.example' },
    });
  });

  test('the tables above have every setting', () => {
    const elsewhere = ['url', 'passwordFile', 'config', 'fastOpen', 'mptcp', 'check', 'acl', 'lanOpen'];
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

describe('a UDP forward', () => {
  test.each<[Sources, boolean]>([
    [{ flags: { forward: ['1:a:1/udp'], upstream: 'http://proxy:3128' } }, true],
    [{ flags: { forward: ['1:a:1'], upstream: 'http://proxy:3128' } }, false],
    [{ flags: { forward: ['1:a:1/udp'] } }, false],
  ])('goes by the proxy, too, whatever the mode is: %#', (sources, udpOverTcp) => {
    expect(load({ file: server, ...sources }).config).toMatchObject({ mode: 'tcp_only', udpOverTcp });
  });
});

describe('without SOCKS users', () => {
  test.each([
    [['0.0.0.0'], '0.0.0.0:1080'],
    [['127.0.0.1', '2001:db8::1', '10.0.0.1'], '[2001:db8::1]:1080, 10.0.0.1:1080'],
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

describe('other machines', () => {
  test('come in with a password, or where --lan-open says that they need none', () => {
    expect(load({ file: { ...server, ...PASSWORD, lan: true } }).config).toMatchObject({
      listen: [{ host: expect.stringMatching(/^(::|0\.0\.0\.0)$/), port: 1080 }],
      lan: { maxPerClient: 512 },
    });
    expect(load({ file: server, flags: { lan: true, lanOpen: true } })).toMatchObject({
      config: { lan: { maxPerClient: 512 }, socksUsers: [] },
      warnings: [],
    });
  });

  test('come in at the address that is given', () => {
    const flags = { lan: true, lanOpen: true, localAddress: ['192.0.2.1', '127.0.0.1'], localPort: '7' };
    const { config, warnings } = load({ file: server, flags });
    expect(config.listen).toEqual([
      { host: '192.0.2.1', port: 7 },
      { host: '127.0.0.1', port: 7 },
    ]);
    expect(warnings).toEqual([]);
  });

  test('do not where the file turns it off', () => {
    expect(load({ file: { ...server, lan: false, lan_open: false } }).config).not.toHaveProperty('lan');
  });
});

describe('plugins', () => {
  const pluginsOf = (sources: Sources) =>
    load(sources).config.servers.map(({ plugin }) => plugin && [plugin.command, plugin.options, plugin.from]);

  test('come from a URL, where they are known ones', () => {
    const given = url({ plugin: 'obfs-local;obfs=http;obfs-host=a.example' });
    expect(pluginsOf({ flags: { url: given } })).toEqual([['obfs-local', 'obfs=http;obfs-host=a.example', 'ss://URL']]);
    expect(pluginsOf({ flags: { url: url({ plugin: 'v2ray-plugin' }) } })).toEqual([
      ['v2ray-plugin', undefined, 'ss://URL'],
    ]);
  });

  test('of a URL give way to --plugin, and to nothing with an empty one', () => {
    const known = url({ plugin: 'obfs-local;obfs=http' });
    expect(pluginsOf({ flags: { url: known, plugin: './mine' } })).toEqual([['./mine', 'obfs=http', '--plugin']]);
    const given = url({ plugin: 'poweroff;a=b' });
    expect(pluginsOf({ flags: { url: given, plugin: '' } })).toEqual([undefined]);
    expect(pluginsOf({ env: { SS_URL: given }, flags: { plugin: 'x', pluginOpts: 'c' } })).toEqual([
      ['x', 'c', '--plugin'],
    ]);
  });

  test('of a list belong each to its server', () => {
    const servers = [
      { ...server, plugin: './one', plugin_opts: 'a' },
      { ...server, plugin: '', plugin_opts: null },
      server,
    ];
    const place = expect.stringMatching(/: servers\[0\]\.plugin$/);
    expect(pluginsOf({ file: { servers } })).toEqual([['./one', 'a', place], undefined, undefined]);
    const below = expect.stringMatching(/config\.json: plugin$/);
    const all = pluginsOf({ file: { servers, plugin: 'x' } });
    expect(all[0]).toEqual(['./one', 'a', place]);
    expect(all[2]).toEqual(['x', undefined, below]);
  });

  test('get the environment, without what holds passwords', () => {
    const env = { SS_PLUGIN: 'x', SS_PASSWORD: A, SS_SERVER: 'x', SS_PLUGIN_OPTS: 'y', HTTPS_PROXY: 'p', PATH: '/bin' };
    expect(load({ env }).config.servers[0]?.plugin?.environment).toEqual({ HTTPS_PROXY: 'p', PATH: '/bin' });
    const { listPlugins } = load({
      env: { SS_SERVERS_FILE: 'x', PATH: '/bin', SS_PASSWORD: A, SS_PLUGIN: 'x' },
    }).config;
    expect(listPlugins).toEqual({
      ...{ above: { plugin: { value: 'x', from: 'SS_PLUGIN' } }, below: {} },
      environment: { PATH: '/bin' },
    });
  });
});

describe('lists of servers', () => {
  test('need no other server, and may stand beside others', () => {
    expect(load({ env: { SS_SERVERS_FILE: 'x' } }).config).toMatchObject({ servers: [], document: { path: 'x' } });
    expect(load({ file: server, flags: { serversFile: 'x' } }).config).toMatchObject({
      servers: [{ host: 'x' }],
      document: { path: 'x' },
    });
  });

  test('are not those of a plain http:// URL, unless it is of this machine', () => {
    expect(load({ flags: { serversUrl: 'http://127.0.0.1:8000/x' } }).config.document).toMatchObject({ kind: 'url' });
  });
});

describe('what has no effect is told of, with the mend', () => {
  test.each<[Sources, string[]]>([
    [{ flags: { dnsServer: ['10.96.0.10'] } }, ['--dns-server: has no effect without a local DNS server; add --dns']],
    [{ env: { SS_DNS_ZONE: 'a.example' } }, ['SS_DNS_ZONE: has no effect without a local DNS server; add --dns']],
    [{ file: { dns_upstream: '1.1.1.1' } }, ['dns_upstream: has no effect without a local DNS server; add --dns']],
    [{ flags: { dns: 'off', dnsZone: ['a'] } }, ['--dns-zone: has no effect without']],
    [{ flags: { plugin: 'x', udp: true } }, ['--plugin: UDP goes past the plugin, directly to the server; to send']],
    [{ flags: { plugin: 'x', udp: true, udpOverTcp: true } }, []],
    [{ flags: { plugin: 'x', forward: ['1:a:1/udp'] } }, ['--plugin: UDP goes past the plugin']],
    [{ flags: { mode: 'udp_only', dns: 'on' } }, ['--dns: needs TCP, and the mode is udp_only; leave one of them out']],
    [{ flags: { mode: 'udp_only', dns: 'off' } }, []],
    [{ flags: { udpPorts: '1' } }, ['--udp-ports: has no effect without UDP; add -u, or leave it out']],
    [{ file: { udp_advertise: '192.0.2.1' } }, ['udp_advertise: has no effect without UDP; add -u']],
    [
      { flags: { route: 'all', tunnel: ['a'] }, file: { routes: [{ way: 'direct', to: 'b' }] } },
      ['--tunnel: has no effect, because --route says all', 'routes: has no effect, because --route says all'],
    ],
    [{ flags: { route: 'auto', routeDefault: 'direct' } }, ['--route-default: has no effect, because --route says']],
    [{ file: { tunnel_address: 'a:1' } }, ['tunnel_address: has no effect here, use "forwards"']],
    [{ file: { forward_port: 1 } }, ['forward_port: has no effect here, use "forwards"']],
  ])('%j', (sources, expected) => {
    const { file, ...others } = sources;
    const { warnings } = load({ ...others, file: { ...server, ...file } });
    expect(warnings).toEqual(expected.map(text => expect.stringContaining(text)));
  });
});

test('UDP goes over TCP by itself where a proxy is on the way', () => {
  const env = { SS_PASSWORD: A, SS_SERVER: 'example.com' };
  const overTcp = (flags: Record<string, unknown>) => load({ env, flags }).config.udpOverTcp;
  expect(overTcp({ udp: true, upstream: 'http://proxy.example:3128' })).toBe(true);
  expect(overTcp({ upstream: 'http://proxy.example:3128' })).toBe(false);
  expect(overTcp({ udp: true })).toBe(false);
});
