import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../runtime/log.ts';
import type { Connection } from './connection.ts';
import { Listener, type ListenerOptions } from './listener.ts';

const log = createLogger({ level: 'silent', format: 'json', name: 'test' });

function listener(options: Partial<ListenerOptions>): { listener: Listener; accepted: Connection[] } {
  const accepted: Connection[] = [];
  const created = new Listener({
    listen: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 10,
    handshakeTimeout: 60_000,
    drainTimeout: 1_000,
    noDelay: true,
    reusePort: false,
    log,
    accept(connection) {
      connection.receive = () => true;
      accepted.push(connection);
    },
    ...options,
  });
  onTestFinished(() => created.close());
  return { listener: created, accepted };
}

it('serves whoever comes while another endpoint is still being bound', async () => {
  const first = { host: '127.0.0.1', port: 0 };
  const { listener: own, accepted } = listener({ listen: [first, { host: 'localhost', port: 0 }] });
  const listening = own.listen();
  while (own.addresses.length === 0) await new Promise(resolve => setImmediate(resolve));
  const socket = connect({ ...own.addresses[0]! });
  await once(socket, 'connect');
  await listening;
  await expect.poll(() => accepted.length).toBe(1);
  socket.destroy();
});

it('listens nowhere when one endpoint cannot be had', async () => {
  const { listener: taken } = listener({});
  await taken.listen();
  const [free] = [{ host: '127.0.0.1', port: 0 }];
  const { listener: own } = listener({ listen: [free, taken.addresses[0]!] });
  await expect(own.listen()).rejects.toMatchObject({
    code: 'ERR_LISTEN',
    message: expect.stringContaining('is taken'),
  });
  expect(own.size).toBe(0);
});

it('makes room for the next by closing the oldest stranger, and nobody that it has admitted', async () => {
  const { listener: own, accepted } = listener({ maxConnections: 3 });
  await own.listen();
  const sockets = [];
  for (let count = 0; count < 6; count++) {
    const socket = connect({ ...own.addresses[0]! });
    socket.on('error', () => {});
    sockets.push(socket);
    await expect.poll(() => accepted.length).toBe(count + 1);
    if (count === 0) own.admit(accepted[0]!);
  }
  await expect
    .poll(() => accepted.map(({ socket }) => socket.destroyed))
    .toEqual([false, true, true, true, false, false]);
  expect([own.size, own.strangers, own.turnedAway]).toEqual([3, 2, 0]);
  for (const socket of sockets) socket.destroy();
});

it('takes nobody in when all are admitted and the cap is reached', async () => {
  const { listener: own, accepted } = listener({ maxConnections: 1 });
  await own.listen();
  const first = connect({ ...own.addresses[0]! });
  await expect.poll(() => accepted.length).toBe(1);
  own.admit(accepted[0]!);
  const second = connect({ ...own.addresses[0]! });
  const [error] = await once(second, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
  expect(accepted).toHaveLength(1);
  expect([own.strangers, own.turnedAway]).toEqual([0, 1]);
  first.destroy();
});

it('lets those in whose request is on its way when a drain begins, and waits for no other stranger', async () => {
  const { listener: own, accepted } = listener({ drainTimeout: 20_000 });
  await own.listen();
  const sockets = [connect({ ...own.addresses[0]! }), connect({ ...own.addresses[0]! })];
  for (const socket of sockets) socket.on('error', () => {});
  await expect.poll(() => accepted.length).toBe(2);
  let isDrained = false;
  const drained = own.drain().then(() => {
    isDrained = true;
  });
  own.admit(accepted[0]!);
  await once(accepted[1]!.socket, 'close');
  expect([isDrained, accepted[0]!.socket.destroyed]).toEqual([false, false]);
  accepted[0]!.close();
  await drained;
  for (const socket of sockets) socket.destroy();
});
