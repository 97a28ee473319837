import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, onTestFinished, test } from 'vitest';
import type { Server } from '../servers.ts';
import { ServerPlugins } from './server-plugins.ts';

const METHOD = methodNamed('2022-blake3-aes-256-gcm');
const OPTIONS = { timeout: 2_000 };
const CONFIG = { ipv6First: false, noDelay: true };
const UPSTREAM = { kind: 'http', host: '127.0.0.1', port: 1 } as const;
const log = createLogger({ level: 'silent', format: 'json', name: 'test' });

async function startServer(plugin?: Server['plugin']): Promise<Server> {
  const server = createServer(socket => socket.on('error', () => {}).end());
  onTestFinished(() => void server.close());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const keys = clientKeys(METHOD, randomBytes(32).toString('base64'));
  return { host: '127.0.0.1', port, method: METHOD, keys, ...(plugin && { plugin }) };
}

const NOBODY = { command: '/nonexistent/plugin', environment: {}, from: '--plugin' };

test('a server without a plugin is dialled as it is', async () => {
  const plugins = new ServerPlugins(CONFIG, log);
  const server = await startServer();
  await plugins.start(server);
  const connection = await plugins.dialServer(server, OPTIONS);
  expect(connection.socket.remotePort).toBe(server.port);
  connection.reset();
  await plugins.close();
});

test('a plugin that there is not is said at the start, and by each dial', async () => {
  const plugins = new ServerPlugins(CONFIG, log);
  onTestFinished(() => plugins.close());
  const server = await startServer(NOBODY);
  await expect(plugins.start(server)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  await expect(plugins.dialServer(server, OPTIONS)).rejects.toThrow(/plugin/);
});

test('a plugin that did not start with its only server is not said to be started again', async () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const plugins = new ServerPlugins(CONFIG, createLogger({ level: 'info', format: 'json', name: 'test', destination }));
  await expect(plugins.start(await startServer(NOBODY))).rejects.toThrow('/nonexistent/plugin');
  await plugins.close();
  expect(lines).toEqual([]);
});

test('beside a proxy, a server with a plugin is not reached past it', async () => {
  const plugins = new ServerPlugins({ ...CONFIG, upstream: UPSTREAM }, log);
  onTestFinished(() => plugins.close());
  await expect(plugins.dialServer(await startServer(NOBODY), OPTIONS)).rejects.toThrow(/--upstream/);
});
