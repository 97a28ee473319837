import { configHarness, type Sources } from '@podsocks/shared/settings/config-fixtures';
import { formatSsUrl, type SsUrl } from '@podsocks/shared/wire/ss-url';
import { expect, test } from 'vitest';
import { loadClient } from './config.ts';

// What ss-local says of a configuration that it cannot do with. What it does with others is in config.test.ts.

const A = Buffer.alloc(32, 1).toString('base64');

const url = (parts: Partial<SsUrl> = {}) =>
  formatSsUrl({ method: '2022-blake3-aes-256-gcm', password: A, host: 'url.example', port: 30888, ...parts });

const { complaint } = configHarness(loadClient, ['hunter2', A, encodeURIComponent(A)]);

const server = { server: 'x', password: A };

test.each<[Sources, string]>([
  [{}, 'no server; give an ss:// URL, -s (--server), SS_URL'],
  [{ flags: { server: ['x'] } }, '-s (--server): no password for x; give it as SS_PASSWORD'],
  [{ flags: { url: 'ss://hunter2' } }, 'ss://URL: the ss:// URL is not usable'],
  [{ env: { SS_URL: 'ss://hunter2' } }, 'SS_URL: the ss:// URL is not usable'],
  [
    { flags: { url: url({ plugin: '/tmp/hunter2;hunter2' }) } },
    'ss://URL: the server wants a plugin that is not one of obfs-local, v2ray-plugin, xray-plugin, and a program that ' +
      'others name is not run unseen; if you trust it, name it yourself: --plugin',
  ],
  [
    { flags: { url: url({ plugin: 'v2ray-plugin;tls;localAddr=hunter2' }) } },
    'ss://URL: the server\'s options for the plugin name "localAddr", which only you may give: --plugin-opts',
  ],
  [{ env: { SS_URL: url({ plugin: 'poweroff' }) } }, 'SS_URL: the server wants a plugin that is not one of'],
  [{ file: server, flags: { pluginOpts: 'hunter2' } }, '--plugin-opts: there is no plugin for them; give one with'],
  [{ file: { ...server, plugin_opts: 'hunter2' } }, 'plugin_opts: there is no plugin for them; give one with --plugin'],
  [
    { file: server, env: { SS_PLUGIN: 'a\nhunter2' } },
    'SS_PLUGIN: has a control character in it, such as a line break',
  ],
  [{ file: { ...server, plugin: 1 } }, 'plugin: '],
  [{ file: { ...server, plugin_args: ['hunter2'] } }, 'plugin_args: plugins get no arguments here; put what it is'],
  [{ file: { ...server, plugin_mode: 'tcp_and_udp' } }, 'plugin_mode: TCP goes through a plugin and UDP does not'],
  [
    { file: server, flags: { plugin: 'obfs-local', upstream: 'http://proxy:3128' } },
    '--upstream: a plugin (--plugin) connects by itself, and not by a proxy; leave one of them out',
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
  [
    { file: { servers: [{ ...server, plugin: 'x' }] }, flags: { upstream: 'http://proxy:3128' } },
    '--upstream: a plugin (servers[0].plugin) connects by itself, and not by a proxy; leave one of them out',
  ],
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
  [{ file: { ...server, acl: '/no/such' } }, 'acl: cannot read /no/such (ENOENT); check the path'],
  [
    { flags: { serversUrl: 'https://a.example/', serversFile: 'x' } },
    '--servers-url and --servers-file both say where the list of servers is; leave one out',
  ],
  [
    { file: { servers_url: 'https://a.example/', servers_file: 'x' } },
    'servers_file both say where the list of servers',
  ],
  [
    { flags: { serversUrl: 'http://hunter2.example/hunter2' } },
    '--servers-url: has to begin with https://: the passwords',
  ],
  [
    { env: { SS_SERVERS_URL: 'ssconf://hunter2' } },
    'SS_SERVERS_URL: has the scheme ssconf; give the same with https://',
  ],
  [{ file: { servers_url: 'hunter2' } }, 'servers_url: is not a URL; give https://…'],
  [{ file: { servers_url: 1 } }, 'servers_url: has to be text in double quotes'],
  [{ file: server, flags: { upstream: 'proxy:3128' } }, '--upstream: has a scheme that is not known; give socks5://'],
  [{ file: server, env: { SS_UPSTREAM: 'http://a:hunter2@proxy' } }, 'SS_UPSTREAM: has no port, and proxies have none'],
  [{ file: { ...server, upstream: 'http://:hunter2@proxy:1' } }, 'upstream: has a password and no user; give user:'],
  [
    { file: server, flags: { preconnect: '33' } },
    '--preconnect: is not a number of connections; give one from 0 to 32',
  ],
  [{ file: { ...server, preconnect: -1 } }, 'preconnect: is not a number of connections; give one from 0 to 32'],
  [
    { file: server, flags: { lan: true } },
    '--lan: everybody on the local network could use the tunnel; give --socks-username and --socks-password-file ' +
      '(or "socks_users"), or say --lan-open if that is what you want',
  ],
  [{ file: { ...server, lan: true, lan_open: false } }, 'lan: everybody on the local network could use the tunnel'],
  [{ file: { ...server, lan: 'yes' } }, 'lan: has to be true or false'],
  [
    { file: server, flags: { lanAllow: ['10.0.0.0/8'] } },
    '--lan-allow: says whom --lan lets in; add --lan, or leave it',
  ],
  [{ file: server, flags: { lanOpen: true } }, '--lan-open: says whom --lan lets in; add --lan'],
  [{ file: { ...server, max_connections_per_client: 5 } }, 'max_connections_per_client: says whom --lan lets in; add'],
  [{ file: { ...server, lan_allow: '10.0.0.0/8', lan: false } }, 'lan_allow: says whom --lan lets in; add --lan'],
  [
    { file: server, flags: { lan: true, lanOpen: true, lanAllow: ['10.0.0.0/33'] } },
    '--lan-allow: is not a network; give it as 192.168.1.0/24',
  ],
  [{ file: { ...server, lan_allow: ['home'] } }, 'lan_allow: is not a network; give it as 192.168.1.0/24'],
  [{ file: server, flags: { maxConnectionsPerClient: '0' } }, '--max-connections-per-client: "0" is not a count; give'],
  [{ file: server, flags: { route: 'some' } }, '--route: "some" is not one of auto, all, rules'],
  [{ file: { ...server, route: 'some' } }, 'route: "some" is not one of auto, all, rules'],
  [
    { file: server, env: { SS_TUNNEL: 'a, http://b' } },
    'SS_TUNNEL: "http://b" is no target of a route; write a network',
  ],
  [{ file: server, flags: { direct: ['10.0.0.1/8'] } }, '--direct: 10.0.0.1/8 has bits behind its prefix'],
  [{ file: server, flags: { reject: ['a:b'] } }, '--reject: "a:b" is no target of a route'],
  [{ file: { ...server, tunnel: ['a'] } }, 'tunnel: unknown field; '],
  [{ file: { ...server, routes: [{ to: 'a' }] } }, 'routes[0].way: is missing; it has to be text'],
  [{ file: { ...server, routes: [{ way: 'tunnel', to: 'a b' }] } }, 'routes[0].to: "a b" is no target of a route'],
  [{ file: server, env: { SS_ROUTE_DEFAULT: 'no' } }, 'SS_ROUTE_DEFAULT: "no" is not one of tunnel, direct, reject'],
  [{ file: server, flags: { namespace: ['a.b'] } }, '--namespace: "a.b" is no namespace; give a name as kubectl'],
  [{ file: server, flags: { forward: ['1:a'] } }, '-L (--forward): is not [bind:]port:host:port, such as 5432:db'],
  [{ file: { ...server, forwards: ['1:a:0'] } }, 'forwards: "0" is not a port; give a number from 1 to 65535'],
  [
    { file: server, flags: { forward: ['1000:a:1', '127.0.0.1:1000:b:2'] } },
    '-L (--forward): 127.0.0.1:1000/tcp is to be two things; give each its own port',
  ],
  [
    { file: { ...server, forwards: ['[::]:1:a:1/udp', '[::]:1:a:1/udp'] } },
    'forwards: [::]:1/udp is to be two things; give each its own port',
  ],
  [{ file: server, flags: { forward: ['1080:a:1'] } }, '-L (--forward): 127.0.0.1:1080/tcp belongs to SOCKS and'],
  [
    { file: { ...server, local_port: 7, local_address: '::1' }, flags: { forward: ['[::1]:7:a:1'] } },
    '-L (--forward): [::1]:7/tcp belongs to SOCKS and HTTP (-b, -l) already; give each its own port',
  ],
  [
    { file: server, flags: { dns: '1080' } },
    '--dns: 127.0.0.1:1080/tcp belongs to SOCKS and HTTP (-b, -l) already; give each its own port',
  ],
  [
    { file: { ...server, forwards: '5354:a:1/udp' }, env: { SS_DNS: 'on' } },
    'SS_DNS: 127.0.0.1:5354/udp belongs to forwards already; give each its own port',
  ],
  [
    { file: server, flags: { map: ['a:53'], dns: '127.64.0.1:53' } },
    '--dns: 127.64.0.1:53/tcp belongs to --map already; give each its own port',
  ],
  [
    { file: server, flags: { localAddress: ['::1', '::1'] } },
    'SOCKS and HTTP (-b, -l): [::1]:1080/tcp is to be two things; leave one out',
  ],
  [{ file: server, flags: { map: ['redis'] } }, '--map: is not host:port, such as redis-0.redis.default'],
  [
    { file: server, flags: { map: ['10.0.0.1:1'] } },
    '--map: 10.0.0.1 is an address, and the local DNS can give another',
  ],
  [{ file: { ...server, maps: ['a:1', 'A.:1'] } }, 'maps: a:1 is there twice; leave one out'],
  [{ file: server, flags: { dns: 'ss://hunter2' } }, '--dns: is a URL; put the URL ahead of --dns, or write --dns='],
  [{ file: server, env: { SS_DNS: 'localhost' } }, 'SS_DNS: "localhost" is no IP address; give one of this machine'],
  [{ file: { ...server, dns: 5354 } }, 'dns: has to be text in double quotes'],
  [{ file: server, flags: { dnsServer: ['10.96.0.10:0'] } }, '--dns-server: no server has port 0; give its port'],
  [{ file: server, env: { SS_DNS_ZONE: '*.a' } }, 'SS_DNS_ZONE: "*.a" is no domain; give one such as cluster.local'],
  [{ file: { ...server, dns_upstream: ['dns.example'] } }, 'dns_upstream: "dns.example" is no IP address; give one'],
  [
    { file: { ...server, online_config: { hunter2: 1 } } },
    'online_config: it has another name here; use "servers_url"',
  ],
  [{ file: { ...server, outbound_proxy: 'hunter2' } }, 'outbound_proxy: it has another name here; use "upstream"'],
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
