import { expect, it } from 'vitest';
import { clientPluginOf, debianPackageOf, programNames, requireKnownPlugin } from './known-plugins.ts';

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
