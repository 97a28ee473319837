import { describe, expect, it } from 'vitest';
import { formatPluginParameter, parsePluginParameter, pluginOptions } from './plugin-options.ts';

describe('the parameter of a URL', () => {
  it.each([
    ['obfs-local', { command: 'obfs-local' }],
    ['obfs-local;obfs=http;obfs-host=a.example', { command: 'obfs-local', options: 'obfs=http;obfs-host=a.example' }],
    ['v2ray-plugin;path=/a\\;b', { command: 'v2ray-plugin', options: 'path=/a\\;b' }],
  ])('%s is read, and written the same', (text, parameter) => {
    expect(parsePluginParameter(text)).toEqual(parameter);
    expect(formatPluginParameter(parameter)).toBe(text);
  });

  it('has no options behind a lone semicolon', () => {
    expect(parsePluginParameter('obfs-local;')).toEqual({ command: 'obfs-local' });
  });
});

describe('options', () => {
  it.each([
    ['', []],
    ['tls', [{ name: 'tls', text: 'tls' }]],
    [
      'obfs=http;tls',
      [
        { name: 'obfs', value: 'http', text: 'obfs=http' },
        { name: 'tls', text: 'tls' },
      ],
    ],
    [';;a=1;', [{ name: 'a', value: '1', text: 'a=1' }]],
    ['a=b=c', [{ name: 'a', value: 'b=c', text: 'a=b=c' }]],
    ['a=', [{ name: 'a', value: '', text: 'a=' }]],
    ['path=/x\\;y\\=z\\\\', [{ name: 'path', value: '/x;y=z\\', text: 'path=/x\\;y\\=z\\\\' }]],
    ['a\\=b=c', [{ name: 'a=b', value: 'c', text: 'a\\=b=c' }]],
    ['a=b\\', [{ name: 'a', value: 'b\\', text: 'a=b\\' }]],
    ['a=x\ny', [{ name: 'a', value: 'x\ny', text: 'a=x\ny' }]],
  ])('of %j', (text, options) => {
    expect(pluginOptions(text)).toEqual(options);
  });
});
