import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { Connection, READ_BYTES } from './connection.ts';

const BYTES = 64 * READ_BYTES;

/** To a peer that sends {@link BYTES} and then, where told to, ends. */
async function connectToSender(ends: boolean): Promise<Connection> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.write(Buffer.alloc(BYTES, 7));
    if (ends) socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = Connection.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  onTestFinished(() => {
    connection.socket.destroy();
    server.close();
  });
  return connection;
}

it('lets the event loop turn after two full reads, and loses nothing', async () => {
  const connection = await connectToSender(true);
  let received = 0;
  let ended = false;
  let inThisTurn = 0;
  let most = 0;
  connection.receive = (_input, length) => {
    received += length;
    inThisTurn += length;
    most = Math.max(most, inThisTurn);
    return true;
  };
  connection.socket.on('end', () => {
    ended = true;
  });
  connection.socket.resume();
  while (!ended) {
    await turn();
    inThisTurn = 0;
  }
  expect(received).toBe(BYTES);
  expect(most).toBeLessThanOrEqual(2 * READ_BYTES + READ_BYTES); // the last read of a stretch may be a partial one
});

it('stays stopped when its socket was paused in between', async () => {
  const connection = await connectToSender(false);
  let received = 0;
  let fullReads = 0;
  let paused = false;
  connection.receive = (_input, length) => {
    received += length;
    fullReads = length === READ_BYTES ? fullReads + 1 : 0;
    if (fullReads === 2 && !paused) {
      paused = true;
      queueMicrotask(() => connection.socket.pause()); // by then it is due to resume by itself
    }
    return true;
  };
  connection.socket.resume();
  while (!paused) await turn();
  const before = received;
  for (let turns = 0; turns < 100; turns++) await turn();
  expect(received).toBe(before);
  connection.socket.resume();
  while (received < BYTES) await turn();
});
