import { describe, expect, it } from 'vitest';
import { readFields } from '../settings/config-file.ts';
import { envLayer, flagLayer } from '../settings/settings.ts';
import { PLUGIN_FOREIGN_FIELDS, PLUGIN_SETTINGS, pluginFields, pluginOf } from './fields.ts';

const read = (json: object) => {
  const foreign = { noEffect: {}, refused: PLUGIN_FOREIGN_FIELDS };
  return readFields(json, 'a.json', pluginFields, foreign, () => {});
};

describe('a plugin', () => {
  it('comes from flags, environment and file', () => {
    const env = { SS_PLUGIN: 'obfs-local', SS_PLUGIN_OPTS: 'obfs=tls' };
    const wanted = { command: 'obfs-local', options: 'obfs=tls', environment: {} };
    const flags = flagLayer(PLUGIN_SETTINGS, { plugin: 'obfs-local', pluginOpts: 'obfs=tls' });
    expect(pluginOf(flags, {})).toEqual({ ...wanted, from: '--plugin' });
    expect(pluginOf(envLayer(PLUGIN_SETTINGS, env), {})).toEqual({ ...wanted, from: 'SS_PLUGIN' });
    const file = read({ plugin: 'obfs-local', plugin_opts: 'obfs=tls' });
    expect(pluginOf(file, {})).toEqual({ ...wanted, from: 'a.json: plugin' });
  });

  it.each([{}, { plugin: '' }, { plugin: null }, { plugin: '', plugin_opts: '' }, { plugin_opts: null }])(
    'is not asked for by %j',
    json => {
      expect(pluginOf(read(json), {})).toBeUndefined();
    },
  );

  it('has no empty options', () => {
    expect(pluginOf(read({ plugin: 'a', plugin_opts: '' }), {})).not.toHaveProperty('options');
  });

  it.each([
    [{ plugin_opts: 'password=hunter2' }, 'a.json: plugin_opts: there is no plugin for them'],
    [{ plugin: '', plugin_opts: 'password=hunter2' }, 'a.json: plugin_opts: there is no plugin for them'],
    [{ plugin: 'a\nb' }, 'a.json: plugin: has a control character in it'],
    [{ plugin: 'a', plugin_opts: 'hunter2\0' }, 'a.json: plugin_opts: has a control character in it'],
    [{ plugin: 1 }, 'a.json: plugin: has to be text'],
    [{ plugin: 'a', plugin_args: ['-v'] }, 'a.json: plugin_args: plugins get no arguments here'],
    [{ plugin: 'a', plugin_mode: 'tcp_and_udp' }, 'a.json: plugin_mode: TCP goes through a plugin and UDP does not'],
  ])('is refused as %j', (json, complaint) => {
    expect(() => pluginOf(read(json), {})).toThrow(complaint);
    expect(() => pluginOf(read(json), {})).not.toThrow('hunter2');
  });

  it('gets our environment without what is ours', () => {
    const env = {
      PATH: '/bin',
      HOME: '/home/ada',
      LANG: undefined,
      SS_PASSWORD: 'x',
      SS_URL: 'y',
      ss_socks_password: 'z',
    };
    const plugin = pluginOf(flagLayer(PLUGIN_SETTINGS, { plugin: 'a' }), env);
    expect(plugin?.environment).toEqual({ PATH: '/bin', HOME: '/home/ada' });
  });
});
