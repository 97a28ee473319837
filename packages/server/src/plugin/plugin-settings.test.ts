import { configHarness } from '@podsocks/shared/settings/config-fixtures';
import { expect, test } from 'vitest';
import { loadServer } from '../config.ts';
import { behindPlugin } from './server-plugins.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const { load, complaint } = configHarness(loadServer, ['hunter2', KEY]);
const password = { password: KEY };

test('a plugin comes from flags, environment and file, without what is secret of ours', () => {
  const file = { ...password, plugin: 'obfs-server', plugin_opts: 'obfs=http' };
  const env = { HOME: '/home/ada', SS_PASSWORD: KEY };
  const { config, warnings } = load({ file, env, flags: { pluginOpts: 'obfs=tls' } });
  const environment = { HOME: '/home/ada' };
  const from = expect.stringMatching(/config\.json: plugin$/);
  expect(config.plugin).toEqual({ command: 'obfs-server', options: 'obfs=tls', environment, from });
  expect(warnings).toEqual([]);
});

test('behind it TCP comes from loopback, and UDP as before; nobody there knows it', () => {
  const { config } = load({
    file: { ...password, plugin: 'x', plugin_opts: 'key=hunter2', server: ['::', '0.0.0.0'] },
  });
  const { listen, publicListen, plugin } = behindPlugin(config);
  expect({ listen, publicListen, plugin }).toEqual({
    listen: [{ host: '127.0.0.1', port: 0 }],
    publicListen: [
      { host: '::', port: 8388 },
      { host: '0.0.0.0', port: 8388 },
    ],
    plugin: undefined,
  });
  const { config: alone } = load({ file: password });
  expect(behindPlugin(alone)).toBe(alone);
});

test.each([
  [{ plugin_opts: 'key=hunter2' }, 'plugin_opts: there is no plugin for them'],
  [{ plugin: 'x', proxy_protocol: true }, 'proxy_protocol: the header would come to the plugin'],
  [{ plugin: 'x', server_port: 0 }, 'plugin: a plugin listens on 0.0.0.0:0, and cannot choose its port; give one'],
  [{ plugin: 'x', plugin_args: ['a'] }, 'plugin_args: plugins get no arguments here'],
  [{ plugin: 'x', plugin_mode: 'tcp_and_udp' }, 'plugin_mode: TCP goes through a plugin and UDP does not'],
])('refuses %j', (fields, message) => {
  expect(complaint({ file: { ...password, ...fields } })).toContain(message);
});

test('says where it has no effect, and what has none beside it', () => {
  const udp = load({ file: { ...password, plugin: 'x', mode: 'udp_only' } });
  expect(udp.config.plugin).toBeUndefined();
  expect(udp.warnings).toEqual([expect.stringMatching(/plugin: has no effect on UDP, and there is nothing else/)]);
  const shared = load({ file: { ...password, plugin: 'x', reuse_port: true, workers: 2 } });
  expect(shared.config).toMatchObject({ reusePort: false, plugin: { command: 'x' } });
  expect(shared.warnings).toEqual([expect.stringMatching(/reuse_port: has no effect with a plugin, for it listens/)]);
});
