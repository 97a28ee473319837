import { once } from 'node:events';
import { type AddressInfo, createServer, type LookupFunction } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { type DialOptions, dial } from './dial.ts';

async function listen() {
  const clients: (string | undefined)[] = [];
  const server = createServer(socket => void clients.push(socket.remoteAddress));
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options: DialOptions = { host: '127.0.0.1', port, timeout: 5_000, ipv6First: false, noDelay: true };
  return { clients, server, options };
}

it('gives up what is not connected yet, and then connects no more', async () => {
  const { clients, server, options } = await listen();
  const giveUp = new AbortController();
  let answer = () => {};
  const lookup: LookupFunction = (_, __, callback) => {
    answer = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
  };
  const dialled = dial({ ...options, host: 'name.example', lookup, signal: giveUp.signal });
  giveUp.abort();
  await expect(dialled).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  answer();
  const accepted = once(server, 'connection');
  (await dial(options)).close();
  await accepted;
  expect(clients).toHaveLength(1);
});

it('does not begin what was given up before', async () => {
  const { clients, server, options } = await listen();
  await expect(dial({ ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  const accepted = once(server, 'connection');
  (await dial(options)).close();
  await accepted;
  expect(clients).toHaveLength(1);
});

it('leaves a connection alone that is there', async () => {
  const { options } = await listen();
  const giveUp = new AbortController();
  const connection = await dial({ ...options, signal: giveUp.signal });
  giveUp.abort();
  expect(connection.socket.destroyed).toBe(false);
  connection.close();
});
