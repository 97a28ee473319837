import { expect, it } from 'vitest';
import {
  clientPluginOf,
  debianPackageOf,
  programNames,
  requireHarmlessOptions,
  requireKnownPlugin,
} from './known-plugins.ts';

it.each([
  ['obfs-local', 'client', ['obfs-local', 'simple-obfs']],
  ['simple-obfs', 'client', ['simple-obfs', 'obfs-local']],
  ['simple-obfs', 'server', ['obfs-server']],
  ['obfs-local', 'server', ['obfs-server']],
  ['v2ray-plugin', 'server', ['v2ray-plugin', 'ss-v2ray-plugin']],
  ['ss-v2ray-plugin', 'client', ['ss-v2ray-plugin', 'v2ray-plugin']],
  ['/opt/v2ray-plugin', 'client', ['/opt/v2ray-plugin']],
  ['mine', 'client', ['mine']],
] as const)('%s of the %s is called %j', (command, role, names) => {
  expect(programNames(command, role)).toEqual(names);
});

it('knows packages of Debian', () => {
  expect(['obfs-server', 'v2ray-plugin', 'mine'].map(debianPackageOf)).toEqual([
    'simple-obfs',
    'shadowsocks-v2ray-plugin',
    undefined,
  ]);
});

it.each(['poweroff', '/tmp/v2ray-plugin', './obfs-local', '\\\\host\\share\\v2ray-plugin', 'obfs-local ', ''])(
  'does not run %j because a URL says so',
  command => {
    expect(() => requireKnownPlugin(command, 'SS_URL')).toThrow(
      /^SS_URL: the server wants a plugin that is not one of obfs-local, v2ray-plugin, xray-plugin, .* --plugin$/,
    );
  },
);

it.each(['obfs-local', 'simple-obfs', 'v2ray-plugin', 'ss-v2ray-plugin', 'xray-plugin'])('runs %s', command => {
  expect(() => requireKnownPlugin(command, 'SS_URL')).not.toThrow();
});

it.each([
  [
    { command: 'obfs-server', options: 'obfs=http;failover=127.0.0.1:80' },
    { command: 'obfs-local', options: 'obfs=http' },
  ],
  [
    {
      command: '/usr/bin/ss-v2ray-plugin',
      options: 'server;tls;host=a.example;path=/x\\;y;cert=/c;key=/k;loglevel=none',
    },
    { command: 'v2ray-plugin', options: 'tls;host=a.example;path=/x\\;y' },
  ],
  [{ command: 'v2ray-plugin', options: 'server' }, { command: 'v2ray-plugin' }],
  [{ command: 'mine', options: 'x=y' }, undefined],
])('of the server’s %j clients need %j', (server, client) => {
  expect(clientPluginOf(server)).toEqual(client);
});

const given = (command: string, options: string, named = command) =>
  requireHarmlessOptions({ command, named, options }, 'SS_URL');

it.each([
  ['v2ray-plugin', 'server'],
  ['v2ray-plugin', 'tls;server=1;host=a.example', 'server'],
  ['v2ray-plugin', 'ser\\ver', 'server'],
  ['v2ray-plugin', ';;\\server', 'server'],
  ['v2ray-plugin', 'path=/a\\;b;localAddr=0.0.0.0', 'localAddr'],
  ['ss-v2ray-plugin', 'localPort=2999', 'localPort'],
  ['xray-plugin', 'remoteAddr=10.0.0.1', 'remoteAddr'],
  ['xray-plugin', 'remotePort=22', 'remotePort'],
  ['v2ray-plugin', 'cert=/home/ada/hunter2', 'cert'],
  ['v2ray-plugin', 'certRaw=hunter2', 'certRaw'],
  ['v2ray-plugin', 'key=/k', 'key'],
  ['v2ray-plugin', 'fwmark=1', 'fwmark'],
  ['v2ray-plugin', 'TLS', 'TLS'],
  ['v2ray-plugin', '=x', ''],
  ['v2ray-plugin', 'obfs=http', 'obfs'],
  ['obfs-local', 'obfs=http;failover=127.0.0.1:22', 'failover'],
  ['simple-obfs', 'a=root', 'a'],
  ['/opt/bin/v2ray-plugin', 'server'],
  ['mine', 'tls', 'tls'],
])('%s: others do not give %j', (command, options, name = options) => {
  const told = `SS_URL: the server's options for the plugin name ${JSON.stringify(name)}, which only you may give: --plugin-opts`;
  expect(() => given(command, options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: told }));
});

it.each([
  ['obfs-local', 'obfs=http;obfs-host=a.example;obfs-uri=/x;http-method=GET;fast-open'],
  ['v2ray-plugin', 'tls;host=a.example;path=/x\\;server\\=1;mode=quic;mux=0;fast-open;loglevel=none'],
  ['xray-plugin', 'mode=grpc;serviceName=x;tls'],
  ['v2ray-plugin', ''],
])('%s: others may give %j', (command, options) => {
  expect(() => given(command, options)).not.toThrow();
});

it('goes by the plugin that runs, and by the one that they name where nothing is known of that', () => {
  expect(() => given('mine', 'tls', 'v2ray-plugin')).not.toThrow();
  expect(() => given('mine', 'server', 'v2ray-plugin')).toThrow('"server"');
  expect(() => given('v2ray-plugin', 'failover=a', 'obfs-local')).toThrow('"failover"');
  expect(() => given('v2ray-plugin', 'obfs=http', 'obfs-local')).toThrow('"obfs"');
});

it('lets clients have from others whatever URLs of ss-server say', () => {
  const all = 'mode=a;tls;host=a;path=a;mux=1;serviceName=a;obfs=http;obfs-host=a;obfs-uri=a;server;cert=a';
  for (const server of ['obfs-server', 'v2ray-plugin', 'xray-plugin']) {
    const { command, options = '' } = clientPluginOf({ command: server, options: all })!;
    expect(() => given(command, options)).not.toThrow();
  }
});
