import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { createLogger } from '@podsocks/shared/runtime/log';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeEntry } from '../server-fixtures.ts';
import type { Server } from '../servers.ts';
import { serverIdentity } from './server-identity.ts';
import { ServerPool } from './server-pool.ts';

const METHOD = methodNamed('aes-256-gcm');
const PLUGIN = { command: 'obfs-local', options: 'obfs=http', environment: {}, from: 'servers[0].plugin' };

describe('two entries', () => {
  const mode = (from: string) => ({ value: 'tcp_only', from }) as const;

  it.each<[string, Partial<Server>, Partial<Server>]>([
    ['mean the same as they are', {}, {}],
    ['in another place', { mode: mode('servers[0].mode') }, { mode: mode('servers[1].mode') }],
    ['with a plugin', { plugin: PLUGIN }, { plugin: { ...PLUGIN, from: 'servers[1].plugin' } }],
  ])('mean the same: %s', (_, one, other) => {
    expect(serverIdentity({ ...fakeEntry(1), ...one })).toBe(serverIdentity({ ...fakeEntry(1), ...other }));
  });

  it.each<[string, Partial<Server>]>([
    ['port', { port: 2 }],
    ['name', { name: 'two' }],
    ['mode', { mode: mode('servers[0].mode') }],
    ['key', { keys: clientKeys(METHOD, 'other') }],
    ['plugin', { plugin: PLUGIN }],
    ["plugin's options", { plugin: { ...PLUGIN, options: 'obfs=tls' } }],
  ])('mean something else by another %s', (_, other) => {
    const one = { ...fakeEntry(1), plugin: { ...PLUGIN, options: '' } };
    expect(serverIdentity({ ...one, ...other })).not.toBe(serverIdentity(one));
  });
});

describe('a pool', () => {
  const config = { connectTimeout: 1_000, ipv6First: false, noDelay: true, cryptoBackend: 'auto' } as const;
  const log = createLogger({ level: 'silent', format: 'json', name: 'test' });
  const poolOf = (servers: readonly Server[]) => {
    const pool = new ServerPool({ servers, config, askExtensions: false, mayChange: true, probes: false, log });
    onTestFinished(() => pool.close());
    return pool;
  };

  it('has a server once that is listed twice, before and after a change', () => {
    const pool = poolOf([fakeEntry(1), fakeEntry(1), fakeEntry(2)]);
    expect(pool.links.map(({ server }) => server.port)).toEqual([1, 2]);
    const [, two] = pool.links;
    pool.replace([fakeEntry(2), fakeEntry(3), fakeEntry(2), fakeEntry(3)]);
    expect(pool.links.map(({ server }) => server.port)).toEqual([2, 3]);
    expect(pool.links[0]).toBe(two);
  });

  it('looks at each entry of a long list a few times only', () => {
    let looks = 0;
    const entries = (first: number) =>
      Array.from({ length: 100 }, (_, index) => ({
        ...fakeEntry(first + index),
        get host() {
          looks++;
          return '127.0.0.1';
        },
      }));
    const pool = poolOf(entries(1));
    pool.replace(entries(1_000));
    expect(looks).toBeLessThan(2_000);
  });
});
