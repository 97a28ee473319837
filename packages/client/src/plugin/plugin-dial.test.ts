import { createServer } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { expect, onTestFinished, test } from 'vitest';
import { serverDialler } from '../servers/dial-server.ts';
import { throughPlugin } from './plugin-dial.ts';

const dial = serverDialler({ ipv6First: false, noDelay: true });
const SERVER = { host: 'server.example', port: 8388 };
const OPTIONS = { timeout: 5_000 };

async function listener() {
  const server = createServer(socket => socket.on('error', () => {}).end('hello'));
  onTestFinished(() => void server.close());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, endpoint: { host: '127.0.0.1', port: (server.address() as { port: number }).port } };
}

test('the connection is to where the plugin listens now', async () => {
  const { endpoint } = await listener();
  let calls = 0;
  const plugin = {
    name: 'mine',
    started: Promise.resolve(),
    endpoint() {
      calls++;
      return endpoint;
    },
  };
  const connection = await throughPlugin(dial, plugin)(SERVER, OPTIONS);
  onTestFinished(() => connection.reset());
  expect(connection.socket.remotePort).toBe(endpoint.port);
  expect(calls).toBe(1);
});

test('whoever comes while it starts waits for it', async () => {
  const { endpoint } = await listener();
  let start = () => {};
  const started = new Promise<void>(resolve => {
    start = resolve;
  });
  let isStarted = false;
  const plugin = {
    name: 'mine',
    started,
    endpoint() {
      if (!isStarted) throw new Error('too early');
      return endpoint;
    },
  };
  const dialling = throughPlugin(dial, plugin)(SERVER, OPTIONS);
  await new Promise(resolve => setImmediate(resolve));
  isStarted = true;
  start();
  (await dialling).reset();
});

test('what keeps the plugin is what is said', async () => {
  const down = new PodsocksError('ERR_DIAL', 'the plugin mine does not run: it has ended (exit code 1)');
  const plugin = {
    name: 'mine',
    started: Promise.reject(down),
    endpoint: () => {
      throw down;
    },
  };
  await expect(throughPlugin(dial, plugin)(SERVER, OPTIONS)).rejects.toBe(down);
});

test('a plugin that does not accept is named, and not the server', async () => {
  const { server, endpoint } = await listener();
  await new Promise(resolve => server.close(resolve));
  const dialling = throughPlugin(dial, { name: 'mine', started: Promise.resolve(), endpoint: () => endpoint })(
    SERVER,
    OPTIONS,
  );
  await expect(dialling).rejects.toMatchObject({ code: 'ERR_DIAL', cause: { code: 'ECONNREFUSED' } });
  await expect(dialling).rejects.toThrow(/^the plugin mine does not accept: 127\.0\.0\.1:\d+: /);
});

test('a dial that is given up stays one', async () => {
  const { endpoint } = await listener();
  const given = throughPlugin(dial, { name: 'mine', started: Promise.resolve(), endpoint: () => endpoint });
  await expect(given(SERVER, { ...OPTIONS, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ERR_CLOSED',
  });
});
