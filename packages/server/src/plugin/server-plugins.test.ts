import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { fakePlugin } from '@podsocks/shared/plugin/fake-plugin-fixtures';
import { freeEndpoint, isAccepting } from '@podsocks/shared/plugin/port';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, it, onTestFinished } from 'vitest';
import type { ServerConfig } from '../config.ts';
import { PreparedServer, type ServerParts } from '../prepared-server.ts';
import { startPlugins } from './server-plugins.ts';

const log = createLogger({ level: 'silent', format: 'json', name: 'test' });
const ANY = { host: '127.0.0.1', port: 0 };

async function taken(): Promise<Endpoint> {
  const server = createServer().listen(ANY);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

const config = (listen: readonly Endpoint[], plugin = fakePlugin().path) =>
  ({
    listen,
    plugin: { command: plugin, options: 'server', environment: {}, from: '--plugin' },
  }) as Partial<ServerConfig> as ServerConfig;

it('runs a plugin for each address', async () => {
  const listen = [await freeEndpoint(ANY), await freeEndpoint(ANY)];
  const plugins = await startPlugins(config(listen), [await taken()], log);
  onTestFinished(() => plugins.close());
  expect(plugins.addresses).toEqual(listen);
  expect(plugins.obstacle).toBeUndefined();
  for (const endpoint of listen) expect(await isAccepting(endpoint)).toBe(true);
  await plugins.close();
  for (const endpoint of listen) expect(await isAccepting(endpoint)).toBe(false);
  expect(plugins.obstacle).toMatch(/^the plugin fake-plugin does not run/);
});

it('runs none where one cannot start', async () => {
  const free = await freeEndpoint(ANY);
  const starting = startPlugins(config([free, await taken()]), [await taken()], log);
  await expect(starting).rejects.toMatchObject({ code: 'ERR_LISTEN', message: expect.stringContaining('is taken') });
  expect(await isAccepting(free)).toBe(false);
});

it('without one, clients connect to the server itself', async () => {
  const own = await taken();
  const plugins = await startPlugins({ listen: [ANY] } as unknown as ServerConfig, [own], log);
  expect(plugins.addresses).toEqual([own]);
  expect(plugins.obstacle).toBeUndefined();
  await plugins.close();
});

it.each([
  ['itself', false],
  ['in a worker, where another accepts', true],
])('behind one, no user reaches what it listens on, nor the server: %s', async (_, accepted) => {
  const behind = { host: '127.0.0.1', port: 40_001 };
  const front = { host: '0.0.0.0', port: 8388 };
  const own: Endpoint[] = [];
  const udp: Endpoint[] = [];
  const parts = {
    streams: { listen: async () => {}, addresses: accepted ? [] : [behind] },
    datagrams: { listen: async (at: Endpoint[]) => void udp.push(...at), addresses: [front] },
    own: { set: (listeners: Endpoint[]) => void own.push(...listeners) },
  } as unknown as ServerParts;
  const server = new PreparedServer({ listen: [behind], publicListen: [front] } as unknown as ServerConfig, parts);
  await server.listen({ accepted });
  expect(udp).toEqual([front]);
  expect(own).toEqual(expect.arrayContaining([behind, front]));
});
