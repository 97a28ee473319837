import { envLayer, flagLayer } from '@podsocks/shared/settings/settings';
import { describe, expect, it } from 'vitest';
import { serverSettings, serversOf, withUrl } from '../servers.ts';
import { POOL_SETTINGS, poolOf } from './fields.ts';

const flags = (parsed: Record<string, unknown>) => poolOf([flagLayer(POOL_SETTINGS, parsed)]);

describe('how servers are found and reached', () => {
  it('is said by flags and environment', () => {
    expect(flags({})).toEqual({ preconnect: 0 });
    expect(flags({ serversFile: 'x.json', preconnect: '4' })).toEqual({
      document: { kind: 'file', path: 'x.json' },
      preconnect: 4,
    });
    const env = { SS_SERVERS_URL: 'https://example.com/x', SS_UPSTREAM: 'http://10.0.0.1:3128', SS_PRECONNECT: '32' };
    expect(poolOf([envLayer(POOL_SETTINGS, env)])).toEqual({
      document: { kind: 'url', url: new URL('https://example.com/x') },
      upstream: { kind: 'http', host: '10.0.0.1', port: 3128 },
      preconnect: 32,
    });
  });

  it('is what the flags say, above the environment', () => {
    const above = flagLayer(POOL_SETTINGS, { serversFile: 'x.json', preconnect: '0' });
    const below = envLayer(POOL_SETTINGS, { SS_SERVERS_URL: 'https://example.com/x', SS_PRECONNECT: '3' });
    expect(poolOf([above, below])).toEqual({ document: { kind: 'file', path: 'x.json' }, preconnect: 0 });
  });

  it.each<[Record<string, unknown>, string]>([
    [{ preconnect: '33' }, '--preconnect: is not a number of connections; give one from 0 to 32'],
    [{ preconnect: '-1' }, '--preconnect: '],
    [{ upstream: 'ftp://hunter2:x@h:1' }, '--upstream: has a scheme that is not known'],
    [{ serversUrl: 'http://example.com/hunter2' }, '--servers-url: has to begin with https://'],
    [{ serversUrl: 'https://example.com/hunter2', serversFile: 'x' }, '--servers-url and --servers-file both say'],
  ])('is refused where it makes no sense: %j', (parsed, complaint) => {
    expect(() => flags(parsed)).toThrow(complaint);
    expect(() => flags(parsed)).not.toThrow('hunter2');
  });
});

describe('several ss:// URLs', () => {
  const common = { ...serverSettings };
  const urls = ['ss://aes-256-gcm:a,b@10.0.0.1:1#one', 'ss://aes-128-gcm:c@10.0.0.2:2'];
  const expected = [
    { host: '10.0.0.1', port: 1, name: 'one', method: { name: 'aes-256-gcm' } },
    { host: '10.0.0.2', port: 2, method: { name: 'aes-128-gcm' } },
  ];

  it('are arguments', () => {
    expect(serversOf(withUrl(flagLayer(common, { url: urls })), {}, {})).toMatchObject(expected);
  });

  it.each([',', ' , ', ',\n'])('are in the environment with %j between them', separator => {
    expect(serversOf({}, withUrl(envLayer(common, { SS_URL: urls.join(separator) })), {})).toMatchObject(expected);
  });

  it('each keep their own method and password, unless flags say something for all', () => {
    const environment = withUrl(envLayer(common, { SS_URL: urls.join(',') }));
    const own = serversOf({}, environment, {});
    expect(own[0]!.keys).not.toEqual(own[1]!.keys);
    const password = { value: 'x', from: '-k' };
    const [one, two] = serversOf({ password }, environment, {});
    expect(one!.keys.key).not.toEqual(own[0]!.keys.key);
    expect(two!.method.name).toBe('aes-128-gcm');
    const above = withUrl(flagLayer(common, { url: urls }));
    expect(serversOf(above, { password }, {})[0]!.keys).toEqual(own[0]!.keys);
  });

  it('none is none', () => {
    expect(() => serversOf(withUrl(flagLayer(common, { url: [] })), {}, {})).toThrow('no server; ');
    const document = flagLayer(common, { serversFile: 'x' });
    expect(serversOf(withUrl(document), {}, {})).toEqual([]);
  });

  it('a wrong one among them is named without its password', () => {
    expect(() => flagLayer(common, { url: [urls[0]!, 'ss://hunter2'] })).toThrow(/^ss:\/\/URL: /);
    expect(() => flagLayer(common, { url: [urls[0]!, 'ss://hunter2'] })).not.toThrow('hunter2');
  });
});
