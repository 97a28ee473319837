import { availableParallelism } from 'node:os';
import { serverKey } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { configHarness, type Sources } from '@podsocks/shared/settings/config-fixtures';
import { describe, expect, test } from 'vitest';
import { type LoadedServer, loadServer, SERVER_SETTINGS } from './config.ts';

const key = (byte: number, length = 32) => Buffer.alloc(length, byte).toString('base64');
const [A, B, C] = [key(1), key(2), key(3)];

const { load, complaint, secretFile, path } = configHarness(loadServer, ['hunter2', A, B, C]);

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));

test('has defaults for everything but the password', () => {
  expect(load({ env: { SS_PASSWORD: A } })).toEqual({
    config: {
      listen: [{ host: '0.0.0.0', port: 8388 }],
      method: methodNamed('2022-blake3-aes-256-gcm'),
      key: bytes(A),
      users: [],
      policy: { rules: [], default: 'allow' },
      workers: 1,
      mode: 'tcp_only',
      udpTimeout: 300_000,
      timeout: 300_000,
      connectTimeout: 10_000,
      handshakeTimeout: 60_000,
      drainTimeout: 25_000,
      ipv6First: false,
      noDelay: true,
      reusePort: false,
      cryptoBackend: 'auto',
    },
    secrets: { password: A, users: [] },
    logLevel: 'info',
    warnings: [],
  });
});

const DENIALS = '--deny, SS_DENY, config.json: deny';

/** Where the rules of the policy are written, without the folder of the file. */
const rulesOf = ({ policy }: LoadedServer['config']) =>
  policy.rules.map(({ from }) => from.replace(/\/\S*\/(?=config)/, ''));

/** Of each setting: the flag as commander gives it, the variable, the field, and what comes of each. */
const settings: readonly {
  name: keyof typeof SERVER_SETTINGS;
  flag: [unknown, unknown];
  env?: [string, string, unknown];
  file: [string, unknown, unknown];
  none: unknown;
  pick: (loaded: LoadedServer) => unknown;
}[] = [
  {
    name: 'server',
    flag: [['a'], ['a']],
    env: ['SS_SERVER', 'b,c', ['b', 'c']],
    file: ['server', 'd', ['d']],
    none: ['0.0.0.0'],
    pick: ({ config }) => config.listen.map(({ host }) => host),
  },
  {
    name: 'serverPort',
    flag: ['1', 1],
    env: ['SS_SERVER_PORT', '2', 2],
    file: ['server_port', '3', 3],
    none: 8388,
    pick: ({ config }) => config.listen[0]?.port,
  },
  {
    name: 'localAddress',
    flag: [['10.0.0.1', '::1'], { ipv4: '10.0.0.1', ipv6: '::1' }],
    env: ['SS_LOCAL_ADDRESS', '10.0.0.2', { ipv4: '10.0.0.2' }],
    file: ['local_address', '::3', { ipv6: '::3' }],
    none: undefined,
    pick: ({ config }) => config.bindAddress,
  },
  {
    name: 'nameserver',
    flag: [
      ['10.0.0.1', '[::1]:5353, ::2'],
      [
        { host: '10.0.0.1', port: 53 },
        { host: '::1', port: 5353 },
        { host: '::2', port: 53 },
      ],
    ],
    env: ['SS_NAMESERVER', '10.0.0.2:54', [{ host: '10.0.0.2', port: 54 }]],
    file: [
      'nameserver',
      '10.0.0.3,10.0.0.4',
      [
        { host: '10.0.0.3', port: 53 },
        { host: '10.0.0.4', port: 53 },
      ],
    ],
    none: undefined,
    pick: ({ config }) => config.nameservers,
  },
  {
    name: 'dnsSearch',
    flag: [
      ['svc.cluster.local', 'cluster.local,.'],
      ['svc.cluster.local', 'cluster.local', '.'],
    ],
    env: ['SS_DNS_SEARCH', 'a.example, b.example.', ['a.example', 'b.example.']],
    file: ['dns_search', ['c.example', 'd.example,e_f'], ['c.example', 'd.example', 'e_f']],
    none: undefined,
    pick: ({ config }) => config.dnsSearch,
  },
  {
    name: 'dnsNdots',
    flag: ['0', 0],
    env: ['SS_DNS_NDOTS', '15', 15],
    file: ['dns_ndots', 5, 5],
    none: undefined,
    pick: ({ config }) => config.dnsNdots,
  },
  {
    name: 'admin',
    flag: ['127.0.0.1', { host: '127.0.0.1', port: 9090 }],
    env: ['SS_ADMIN', '[::1]:9100', { host: '::1', port: 9100 }],
    file: ['admin', '0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    none: undefined,
    pick: ({ config }) => config.admin,
  },
  {
    name: 'password',
    flag: [A, bytes(A)],
    env: ['SS_PASSWORD', B, bytes(B)],
    file: ['password', C, bytes(C)],
    none: undefined,
    pick: ({ config }) => config.key,
  },
  {
    name: 'method',
    flag: ['aes-128-gcm', 'aes-128-gcm'],
    env: ['SS_METHOD', 'aes-256-gcm', 'aes-256-gcm'],
    file: ['method', '2022-blake3-chacha20-poly1305', '2022-blake3-chacha20-poly1305'],
    none: '2022-blake3-aes-256-gcm',
    pick: ({ config }) => config.method.name,
  },
  {
    name: 'timeout',
    flag: ['1', 1000],
    env: ['SS_TIMEOUT', '2', 2000],
    file: ['timeout', 3, 3000],
    none: 300_000,
    pick: ({ config }) => config.timeout,
  },
  {
    name: 'mode',
    flag: ['udp_only', 'udp_only'],
    env: ['SS_MODE', 'tcp_and_udp', 'tcp_and_udp'],
    file: ['mode', 'udp_only', 'udp_only'],
    none: 'tcp_only',
    pick: ({ config }) => config.mode,
  },
  {
    name: 'udp',
    flag: [true, 'tcp_and_udp'],
    env: ['SS_MODE', 'udp_only', 'udp_only'],
    file: ['mode', 'tcp_only', 'tcp_only'],
    none: 'tcp_only',
    pick: ({ config }) => config.mode,
  },
  {
    name: 'udpOnly',
    flag: [true, 'udp_only'],
    env: ['SS_MODE', 'tcp_and_udp', 'tcp_and_udp'],
    file: ['mode', 'tcp_only', 'tcp_only'],
    none: 'tcp_only',
    pick: ({ config }) => config.mode,
  },
  {
    name: 'udpMaxAssociations',
    flag: ['1', 1],
    env: ['SS_UDP_MAX_ASSOCIATIONS', '2', 2],
    file: ['udp_max_associations', 3, 3],
    none: undefined,
    pick: ({ config }) => config.udpMaxAssociations,
  },
  {
    name: 'udpTimeout',
    flag: ['60', 60_000],
    env: ['SS_UDP_TIMEOUT', '61.5', 61_500],
    file: ['udp_timeout', 3600, 3_600_000],
    none: 300_000,
    pick: ({ config }) => config.udpTimeout,
  },
  {
    name: 'drainTimeout',
    flag: ['0', 0],
    env: ['SS_DRAIN_TIMEOUT', '2', 2000],
    file: ['drain_timeout', 3, 3000],
    none: 25_000,
    pick: ({ config }) => config.drainTimeout,
  },
  {
    name: 'audit',
    flag: ['a.json', 'a.json'],
    env: ['SS_AUDIT', '-', '-'],
    file: ['audit', 'c.json', 'c.json'],
    none: undefined,
    pick: ({ config }) => config.audit,
  },
  {
    name: 'proxyProtocol',
    flag: [true, true],
    file: ['proxy_protocol', false, false],
    none: undefined,
    pick: ({ config }) => config.proxyProtocol,
  },
  {
    name: 'plugin',
    flag: ['one', 'one'],
    env: ['SS_PLUGIN', 'two', 'two'],
    file: ['plugin', 'three', 'three'],
    none: undefined,
    pick: ({ config }) => config.plugin?.command,
  },
  {
    name: 'workers',
    flag: ['2', 2],
    env: ['SS_WORKERS', 'auto', availableParallelism()],
    file: ['workers', 3, 3],
    none: 1,
    pick: ({ config }) => config.workers,
  },
  {
    name: 'nofile',
    flag: ['1', 1],
    file: ['nofile', 3, 3],
    none: undefined,
    pick: ({ config }) => config.nofile,
  },
  {
    name: 'maxConnections',
    flag: ['1', 1],
    env: ['SS_MAX_CONNECTIONS', '2', 2],
    file: ['max_connections', 3, 3],
    none: undefined,
    pick: ({ config }) => config.maxConnections,
  },
  {
    name: 'allow',
    flag: [['10.0.0.0/8'], ['--allow 10.0.0.0/8']],
    env: ['SS_ALLOW', '10.1.0.0/16, ::1', ['SS_ALLOW ::1', 'SS_ALLOW 10.1.0.0/16']],
    file: ['allow', '10.2.0.0/16', ['config.json: allow 10.2.0.0/16']],
    none: [],
    pick: ({ config }) => rulesOf(config),
  },
  {
    name: 'deny',
    // All of them hold.
    flag: [['10.0.0.0/8'], [`${DENIALS} 10.1.0.0/16`, `${DENIALS} 10.2.0.0/16`, `${DENIALS} 10.0.0.0/8`]],
    env: [
      'SS_DENY',
      '10.1.0.0/16',
      ['SS_DENY, config.json: deny 10.1.0.0/16', 'SS_DENY, config.json: deny 10.2.0.0/16'],
    ],
    file: ['deny', ['10.2.0.0/16'], ['config.json: deny 10.2.0.0/16']],
    none: [],
    pick: ({ config }) => rulesOf(config),
  },
  {
    name: 'policyDefault',
    flag: ['deny', 'deny'],
    env: ['SS_POLICY_DEFAULT', 'allow', 'allow'],
    file: ['policy_default', 'deny', 'deny'],
    none: 'allow',
    pick: ({ config }) => config.policy.default,
  },
  {
    name: 'ipv6First',
    flag: [true, true],
    file: ['ipv6_first', false, false],
    none: false,
    pick: ({ config }) => config.ipv6First,
  },
  {
    name: 'noDelay',
    flag: [true, true],
    file: ['no_delay', false, false],
    none: true,
    pick: ({ config }) => config.noDelay,
  },
  {
    name: 'reusePort',
    flag: [true, true],
    file: ['reuse_port', false, false],
    none: false,
    pick: ({ config }) => config.reusePort,
  },
  {
    name: 'cryptoBackend',
    flag: ['node', 'node'],
    env: ['SS_CRYPTO_BACKEND', 'noble', 'noble'],
    file: ['crypto_backend', 'node', 'node'],
    none: 'auto',
    pick: ({ config }) => config.cryptoBackend,
  },
  {
    name: 'logLevel',
    flag: ['trace', 'trace'],
    env: ['SS_LOG_LEVEL', 'warn', 'warn'],
    file: ['log_level', 'error', 'error'],
    none: 'info',
    pick: ({ logLevel }) => logLevel,
  },
  {
    name: 'verbose',
    flag: [true, 'debug'],
    env: ['SS_LOG_LEVEL', 'warn', 'warn'],
    file: ['log_level', 'error', 'error'],
    none: 'info',
    pick: ({ logLevel }) => logLevel,
  },
  {
    name: 'logFormat',
    flag: ['json', 'json'],
    env: ['SS_LOG_FORMAT', 'pretty', 'pretty'],
    file: ['log_format', 'json', 'json'],
    none: undefined,
    pick: ({ logFormat }) => logFormat,
  },
];

describe('precedence', () => {
  test.each(settings)(
    '$name: flag over environment over file over default',
    ({ name, flag, env, file, none, pick }) => {
      // A password has to come from somewhere; where it is what is tested, the file is its lowest source.
      const base = { file: { password: C } };
      const inFile = { file: { ...base.file, [file[0]]: file[1] } };
      const inEnv = { ...inFile, ...(env && { env: { [env[0]]: env[1] } }) };
      if (name !== 'password') expect(pick(load(base))).toEqual(none);
      expect(pick(load(inFile))).toEqual(file[2]);
      if (env) expect(pick(load(inEnv))).toEqual(env[2]);
      expect(pick(load({ ...inEnv, flags: { [name]: flag[0] } }))).toEqual(flag[1]);
    },
  );

  test('the table above has every setting', () => {
    const elsewhere = ['acl', 'users', 'pluginOpts', 'passwordFile', 'config', 'fastOpen', 'mptcp', 'check'];
    expect([...settings.map(({ name }) => name as string), ...elsewhere].sort()).toEqual(
      Object.keys(SERVER_SETTINGS).sort(),
    );
  });

  test('a password file takes the place of a password of its source', () => {
    const file = secretFile(A);
    expect(load({ flags: { passwordFile: file }, env: { SS_PASSWORD: B } }).config.key).toEqual(bytes(A));
    expect(load({ flags: { password: B }, env: { SS_PASSWORD_FILE: file } }).config.key).toEqual(bytes(B));
    expect(load({ env: { SS_PASSWORD_FILE: file }, file: { password: C } }).config.key).toEqual(bytes(A));
    expect(complaint({ env: { SS_PASSWORD: B, SS_PASSWORD_FILE: file } })).toContain(
      'SS_PASSWORD and SS_PASSWORD_FILE both',
    );
  });

  test('-c wins over SS_CONFIG', () => {
    const file = secretFile(JSON.stringify({ password: A, server_port: 1 }));
    const env = { SS_CONFIG: file };
    expect(load({ env }).config.listen[0]?.port).toBe(1);
    expect(load({ env, file: { password: A, server_port: 2 } }).config.listen[0]?.port).toBe(2);
  });

  test('the port of a host is its own, until a higher source gives one', () => {
    const file = { password: A, server: ['a:1', 'b'], server_port: 2 };
    const ports = (sources: Sources) => load(sources).config.listen.map(({ port }) => port);
    expect(ports({ file })).toEqual([1, 2]);
    expect(ports({ file, env: { SS_SERVER_PORT: '3' } })).toEqual([3, 3]);
    expect(ports({ file, flags: { server: ['a:4'], serverPort: '5' } })).toEqual([4]);
  });

  test('the service link of a Service named ss-server changes nothing', () => {
    const env = { SS_PASSWORD: A, SS_SERVER_PORT: 'tcp://10.0.0.1:8388', SS_SERVER_SERVICE_PORT: '8388' };
    expect(load({ env }).config.listen[0]?.port).toBe(8388);
  });
});

describe('users', () => {
  const users = [
    { name: 'alice', password: A },
    { name: 'bob', password: B },
  ];

  test('of SIP022 have keys beside the main key', () => {
    const { config, secrets } = load({ file: { password: C, users } });
    expect(config.key).toEqual(bytes(C));
    expect(config.users).toEqual([
      { name: 'alice', key: bytes(A) },
      { name: 'bob', key: bytes(B) },
    ]);
    expect(secrets).toEqual({ password: C, users });
  });

  test('of SIP004 include the one whom the password makes', () => {
    const method = methodNamed('aes-256-gcm');
    const one = [{ name: 'alice', password: 'x' }];
    expect(load({ file: { method: method.name, users: one } }).config).toMatchObject({
      users: [{ name: 'alice', key: serverKey(method, 'x') }],
    });
    const { config, secrets } = load({ file: { method: method.name, password: 'y', users: one } });
    expect(config).not.toHaveProperty('key');
    expect(config.users).toEqual([
      { name: 'alice', key: serverKey(method, 'x') },
      { name: 'default', key: serverKey(method, 'y') },
    ]);
    expect(secrets.users).toEqual([...one, { name: 'default', password: 'y' }]);
  });

  test.each([
    [{ users }, 'no password beside the users: they need a main key too; make one with: ss-server genkey'],
    [{ password: C, users: [] }, 'users: is empty; list a user, or remove it'],
    [{ password: C, users: [...users, { name: 'bob', password: key(4) }] }, 'users[2].name: the name "bob" is taken'],
    [
      { password: C, users: [...users, { name: 'eve', password: B }] },
      'users[2].password: is the same as that of "bob"; give',
    ],
    [{ password: A, users }, 'users[0].password: is the same as that of the server; give each user a key of its own'],
    [{ password: C, users: [{ name: ' ', password: A }] }, 'users[0].name: is empty or has control characters'],
    [
      { password: C, users: [{ name: 'a', password: 'hunter2' }] },
      'users[0].password: the key of 2022-blake3-aes-256-gcm has to be 32 bytes',
    ],
    [
      { password: C, users, method: '2022-blake3-chacha20-poly1305' },
      'cannot tell users apart; use 2022-blake3-aes-256-gcm',
    ],
    [
      { password: 'x', users: [{ name: 'default', password: 'y' }], method: 'aes-256-gcm' },
      'password: the name "default" is taken',
    ],
    [
      { password: 'hunter2', users: [{ name: 'a', password: 'hunter2' }], method: 'aes-256-gcm' },
      'is the same as that of "a"',
    ],
  ])('are checked: %#', (file, expected) => {
    expect(complaint({ file })).toContain(expected);
  });
});

test.each<[Sources, string]>([
  [{}, 'no password; make one with: ss-server genkey -m 2022-blake3-aes-256-gcm, and give it as SS_PASSWORD'],
  [{ flags: { password: 'hunter2' } }, '-k (--password): the key of 2022-blake3-aes-256-gcm has to be 32 bytes'],
  [
    { env: { SS_PASSWORD: 'hunter2!' } },
    'SS_PASSWORD: the password of 2022-blake3-aes-256-gcm has to be a base64 key; make one',
  ],
  [{ file: { password: 'hunter2' } }, 'password: the key of'],
  [{ flags: { password: A, method: 'nonsense' } }, '-m (--method): method "nonsense" is unknown; use one of'],
  [
    { flags: { password: A, localAddress: ['::1', '::2'] } },
    '-b (--local-address): takes one IPv4 and one IPv6 address',
  ],
  [{ file: { password: A, local_address: '::1', local_ipv6_address: '::2' } }, 'local_address, '],
  [{ flags: { password: A, localAddress: ['localhost'] } }, '-b (--local-address): "localhost" is not an IP address'],
  [
    { env: { SS_PASSWORD: A, SS_MAX_CONNECTIONS: '0' } },
    'SS_MAX_CONNECTIONS: "0" is not a count; give a number from 1',
  ],
  [{ flags: { password: A, workers: '0' } }, '--workers: "0" is no number of workers; give one from 1 to 256, or auto'],
  [{ env: { SS_PASSWORD: A, SS_WORKERS: '8388' } }, 'SS_WORKERS: "8388" is no number of workers; give one from 1 to'],
  [
    { flags: { password: A, reusePort: true, workers: '2', serverPort: '0' } },
    '--reuse-port: each worker binds the port itself, so 0 would give each another; choose a port',
  ],
  [{ flags: { password: A, udp: true, mode: 'udp_only' } }, '-u (--udp) and --mode contradict each other; keep one'],
  [
    { flags: { password: A, udpOnly: true, mode: 'tcp_only' } },
    '-U (--udp-only) and --mode contradict each other; keep one',
  ],
  [{ env: { SS_PASSWORD: A, SS_MODE: 'udp' } }, 'SS_MODE: "udp" is not one of tcp_only, tcp_and_udp, udp_only'],
  [{ flags: { password: A, udpTimeout: '59' } }, '--udp-timeout: "59" is not a time in seconds that UDP can do with'],
  [{ file: { password: A, udp_timeout: 30 } }, 'udp_timeout: "30" is not a time in seconds that UDP can do with; give'],
  [{ env: { SS_PASSWORD: A, SS_UDP_MAX_ASSOCIATIONS: '0' } }, 'SS_UDP_MAX_ASSOCIATIONS: "0" is not a count; give'],
  [
    { flags: { password: A, udpOnly: true, workers: '2' } },
    '--workers: UDP is served by one process, and there is nothing else to do; leave it out',
  ],
  [{ env: { SS_PASSWORD: A, SS_WORKERS: '2', SS_MODE: 'udp_only' } }, 'SS_WORKERS: UDP is served by one process'],
  [{ file: { password: A, workers: 2, mode: 'udp_only' } }, 'workers: UDP is served by one process'],
  [
    { flags: { password: A, nameserver: ['10.0.0.1', 'dns.example'] } },
    '-d (--nameserver): "dns.example" is no address of a DNS server; give an IP address, or address:port',
  ],
  [{ env: { SS_PASSWORD: A, SS_NAMESERVER: '10.0.0.1:0' } }, 'SS_NAMESERVER: "10.0.0.1:0" is no address of a DNS'],
  [{ file: { password: A, nameserver: '10.0.0.1:65536' } }, 'nameserver: "65536" is not a port; give a number from 0'],
  [{ file: { password: A, nameserver: ['10.0.0.1', '10.0.0.2,'] } }, 'nameserver: "" is not a host'],
  [{ file: { password: A, dns: '10.0.0.1' } }, 'dns: it has another name here; use "nameserver" of ss-server'],
  [
    { flags: { password: A, dnsSearch: ['a.example', 'b..example'] } },
    '--dns-search: "b..example" is no domain; give one such as svc.cluster.local',
  ],
  [{ env: { SS_PASSWORD: A, SS_DNS_SEARCH: 'a.example,,b.example' } }, 'SS_DNS_SEARCH: "" is no domain; give'],
  [{ file: { password: A, dns_search: ['bücher.example'] } }, 'dns_search: "bücher.example" is no domain; give'],
  [{ flags: { password: A, dnsNdots: '16' } }, '--dns-ndots: "16" is no number of dots; give one from 0 to 15'],
  [{ env: { SS_PASSWORD: A, SS_DNS_NDOTS: '-1' } }, 'SS_DNS_NDOTS: "-1" is no number of dots; give one from 0 to 15'],
  [{ file: { password: A, dns_ndots: 1.5 } }, 'dns_ndots: "1.5" is no number of dots; give one from 0 to 15'],
  [{ file: { servers: [] } }, 'servers: there is one port; use "server" and "server_port"'],
])('an error names place, fault and mend, never the secret: %#', (sources, expected) => {
  expect(complaint(sources)).toContain(expected);
});

test('the mode of one source may contradict that of a lower one, which it wins over', () => {
  const mode = (sources: Sources) => load({ ...sources, env: { SS_PASSWORD: A, ...sources.env } }).config.mode;
  expect(mode({ flags: { udp: true }, env: { SS_MODE: 'tcp_only' }, file: { mode: 'udp_only' } })).toBe('tcp_and_udp');
  expect(mode({ flags: { mode: 'tcp_only' }, env: { SS_MODE: 'udp_only' } })).toBe('tcp_only');
  expect(mode({ env: { SS_MODE: 'tcp_only' }, file: { mode: 'udp_only' } })).toBe('tcp_only');
});

test('workers go with TCP and UDP together', () => {
  expect(load({ flags: { password: A, udp: true, workers: '2' } }).config).toMatchObject({
    mode: 'tcp_and_udp',
    workers: 2,
  });
  expect(load({ flags: { password: A, udpOnly: true, workers: '1' } }).config.mode).toBe('udp_only');
});

test('a backend that cannot do the method is a wrong configuration', () => {
  const flags = { password: 'hunter2', method: 'xchacha20-ietf-poly1305', cryptoBackend: 'node' };
  expect(complaint({ flags })).toContain('use --crypto-backend auto');
});

test('warns of the PROXY protocol where there is UDP alone, to which it says nothing', () => {
  const warning = '--proxy-protocol: has no effect on UDP, and there is nothing else; leave it out';
  const flags = { password: A, proxyProtocol: true };
  expect(load({ flags: { ...flags, udpOnly: true } }).warnings).toEqual([warning]);
  expect(load({ flags: { ...flags, udp: true } }).warnings).toEqual([]);
});

test('takes the example of shadowsocks-libev, with a warning of what belongs to ss-local', () => {
  const file = {
    server: ['::1', '127.0.0.1'],
    mode: 'tcp_and_udp',
    server_port: 8388,
    local_port: 1080,
    timeout: 86400,
  };
  const { config, warnings } = load({ file: { ...file, password: 'x', method: 'chacha20-ietf-poly1305' } });
  expect(config.mode).toBe('tcp_and_udp');
  expect(config.listen).toEqual([
    { host: '::1', port: 8388 },
    { host: '127.0.0.1', port: 8388 },
  ]);
  expect(warnings).toEqual([`${path()}: local_port: has no effect here, it belongs to ss-local; remove it`]);
});
