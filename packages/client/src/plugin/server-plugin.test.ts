import { describe, expect, test } from 'vitest';
import { checkPlugins, type PluginSources, serverPlugin } from './server-plugin.ts';

const at = (from: string, plugin?: string, pluginOpts?: string) => ({
  ...(plugin !== undefined && { plugin: { value: plugin, from } }),
  ...(pluginOpts !== undefined && { pluginOpts: { value: pluginOpts, from } }),
});
const url = (plugin?: string, opts?: string) => ({ ...at('ss://URL', plugin, opts), isForeign: true });
const entry = (plugin?: string, opts?: string) => ({ ...at('servers[0]', plugin, opts), isForeign: false });

function of(sources: Partial<PluginSources>) {
  const plugin = serverPlugin({ above: {}, own: entry(), below: {}, ...sources }, { SS_PASSWORD: 'x', HOME: '/h' });
  if (plugin === undefined) return undefined;
  expect(plugin.environment).toEqual({ HOME: '/h' });
  return [plugin.from, plugin.command, plugin.options];
}

describe('the plugin of a server', () => {
  test.each([
    [{}, undefined],
    [{ own: url('obfs-local', 'obfs=http') }, ['ss://URL', 'obfs-local', 'obfs=http']],
    [{ own: entry('/opt/mine', 'x') }, ['servers[0]', '/opt/mine', 'x']],
    [{ own: entry('', '') }, undefined],
    [{ own: entry(''), below: at('file', 'b', 'y') }, ['file', 'b', 'y']],
    [{ own: entry('a'), below: at('file', 'b', 'y') }, ['servers[0]', 'a', undefined]],
    [{ above: at('--plugin', 'c'), own: url('v2ray-plugin', 'tls') }, ['--plugin', 'c', 'tls']],
    [{ above: at('--plugin', '/c'), own: url('poweroff') }, ['--plugin', '/c', undefined]],
    [{ above: at('--plugin', '/c', 'server'), own: url('poweroff', 'tls') }, ['--plugin', '/c', 'server']],
    [
      { above: at('--plugin-opts', undefined, 'cert=/c'), own: url('v2ray-plugin', 'server') },
      ['ss://URL', 'v2ray-plugin', 'cert=/c'],
    ],
    [{ own: entry('v2ray-plugin', 'server') }, ['servers[0]', 'v2ray-plugin', 'server']],
    [{ above: at('--plugin', ''), own: url('v2ray-plugin', 'server') }, undefined],
    [{ own: url(), below: at('file', 'v2ray-plugin', 'server') }, ['file', 'v2ray-plugin', 'server']],
    [{ above: at('--plugin', 'c', 'z'), own: entry('a', 'x') }, ['--plugin', 'c', 'z']],
    [{ above: at('--plugin-opts', undefined, 'z'), own: entry('a', 'x') }, ['servers[0]', 'a', 'z']],
    [{ above: at('--plugin', ''), own: url('v2ray-plugin', 'tls') }, undefined],
    [{ above: at('--plugin', ''), own: url('poweroff') }, undefined],
  ] as const)('%j', (sources, plugin) => {
    expect(of(sources)).toEqual(plugin);
  });

  test('that others name is one that is known', () => {
    expect(() => of({ own: url('poweroff') })).toThrow(/^ss:\/\/URL: the server wants a plugin that is not one of /);
    expect(() => of({ own: url('./v2ray-plugin') })).toThrow('not one of');
    expect(() => of({ own: url('poweroff'), below: at('file', 'b') })).toThrow('not one of');
    expect(() => of({ own: url('poweroff'), above: at('--plugin-opts', undefined, 'x') })).toThrow('not one of');
  });

  test('has of others no options that open this machine', () => {
    const attack = 'server;localAddr=127.0.0.1;localPort=2999;remoteAddr=0.0.0.0;remotePort=9777';
    const complaint = /^ss:\/\/URL: the server's options for the plugin name "server", .*: --plugin-opts$/;
    expect(() => of({ own: url('v2ray-plugin', attack) })).toThrow(complaint);
    expect(() => of({ own: url('v2ray-plugin', attack), above: at('--plugin', '/opt/v2ray-plugin') })).toThrow(
      complaint,
    );
    expect(() => of({ own: url('poweroff', attack), above: at('--plugin', './mine') })).toThrow(complaint);
  });

  test('is not made of options', () => {
    expect(() => of({ above: at('--plugin-opts', undefined, 'x') })).toThrow(/^--plugin-opts: there is no plugin/);
  });
});

describe('beside plugins', () => {
  const plugin = { command: 'a', environment: {}, from: 'SS_PLUGIN' };
  const servers = [{}, { plugin }];
  const warnings = (given: Partial<Parameters<typeof checkPlugins>[0]>) => {
    const told: string[] = [];
    const beside = { servers, hasUdp: false, udpOverTcp: false, ...given };
    checkPlugins(beside, message => told.push(message));
    return told;
  };

  test('UDP is warned of, unless it goes through', () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({ hasUdp: true, udpOverTcp: true })).toEqual([]);
    expect(warnings({ hasUdp: true, servers: [{}] })).toEqual([]);
    expect(warnings({ hasUdp: true })).toEqual([expect.stringMatching(/^SS_PLUGIN: UDP goes past the plugin/)]);
  });

  test('there is no proxy', () => {
    const upstream = { from: '--upstream' };
    expect(() => warnings({ upstream })).toThrow('--upstream: a plugin (SS_PLUGIN) connects by itself');
    expect(warnings({ upstream, servers: [{}] })).toEqual([]);
  });
});
