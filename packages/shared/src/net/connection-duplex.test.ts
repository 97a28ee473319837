import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { Connection } from './connection.ts';
import { ConnectionDuplex } from './connection-duplex.ts';

/** A plain socket, and the other end of it. */
async function pair(): Promise<{ peer: Socket; connection: Connection }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const connection = Connection.adopt(accepted);
  connection.receive = () => false;
  server.close();
  peer.on('error', () => {});
  onTestFinished(() => {
    peer.destroy();
    connection.socket.destroy();
  });
  return { peer, connection };
}

/** events.once would reject when an error comes first. */
function closed(stream: Socket | ConnectionDuplex): Promise<void> {
  return new Promise(resolve => stream.once('close', () => resolve()));
}

it('carries bytes both ways, those that were read before first, and ends each way by itself', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection, Buffer.from('fir'));
  peer.end('st, then this');
  let received = '';
  stream.on('data', chunk => {
    received += chunk;
  });
  await once(stream, 'end');
  expect([received, stream.destroyed]).toEqual(['first, then this', false]);
  stream.write('answer ');
  stream.end('to it');
  expect(Buffer.concat(await peer.toArray()).toString()).toBe('answer to it');
  if (!stream.closed) await closed(stream);
  expect(stream.errored).toBeNull();
  if (!connection.socket.closed) await closed(connection.socket);
  expect(connection.socket.errored).toBeNull();
});

it('writes what was corked in order', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection);
  stream.cork();
  for (const part of ['a', 'bc', 'def']) stream.write(part);
  stream.uncork();
  stream.end();
  expect(Buffer.concat(await peer.toArray()).toString()).toBe('abcdef');
});

it('reads no further than its buffer when nobody consumes, and all of it when somebody does', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection);
  stream.read(0);
  const sent = Buffer.alloc(16 * 1024 * 1024, 7);
  peer.end(sent);
  let held = -1;
  while (held !== stream.readableLength || held === 0) {
    held = stream.readableLength;
    for (let turns = 0; turns < 50; turns++) await turn();
  }
  expect(held).toBeLessThan(1024 * 1024);
  let received = 0;
  for await (const chunk of stream) received += chunk.length;
  expect(received).toBe(sent.length);
});

it('waits for a peer that does not read', async () => {
  const { peer, connection } = await pair();
  peer.pause();
  const stream = new ConnectionDuplex(connection);
  const chunk = Buffer.alloc(256 * 1024, 7);
  let written = 0;
  while (connection.socket.writableLength === 0) {
    stream.write(chunk);
    written += chunk.length;
    await turn();
  }
  stream.end(chunk);
  expect(stream.writableLength).toBeGreaterThan(0);
  let received = 0;
  for await (const part of peer) received += part.length;
  expect(received).toBe(written + chunk.length);
});

it('resets the peer when it is destroyed with an error, and ends when without', async () => {
  for (const [error, code] of [
    [new Error('half'), 'ECONNRESET'],
    [undefined, undefined],
  ] as const) {
    const { peer, connection } = await pair();
    const stream = new ConnectionDuplex(connection);
    stream.on('data', () => {});
    const gone = new Promise<string | undefined>(resolve => {
      peer.once('error', (failure: NodeJS.ErrnoException) => resolve(failure.code));
      peer.once('end', () => resolve(undefined));
    });
    peer.resume();
    stream.destroy(error);
    expect(await gone).toBe(code);
  }
});

it('fails when the peer resets, and when somebody else closes the connection', async () => {
  for (const end of [
    ({ peer }: { peer: Socket }) => peer.resetAndDestroy(),
    ({ connection }: { connection: Connection }) => connection.close(),
    ({ connection }: { connection: Connection }) => connection.reset(),
  ]) {
    const both = await pair();
    const stream = new ConnectionDuplex(both.connection);
    stream.resume();
    const over = closed(stream);
    end(both);
    await over;
    expect(stream.errored).not.toBeNull();
    expect(stream.readableEnded).toBe(false);
  }
});

it('fails when it is closed before what was written has gone, though its peer has ended', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection);
  stream.resume();
  peer.pause();
  peer.end();
  await once(stream, 'end');
  while (connection.socket.writableLength === 0) {
    stream.write(Buffer.alloc(256 * 1024));
    await turn();
  }
  const over = closed(stream);
  connection.close();
  await over;
  expect(stream.errored).not.toBeNull();
});

it('keeps what it has read when others read', async () => {
  const [one, other] = await Promise.all([pair(), pair()]);
  const streams = [one, other].map(({ connection }) => new ConnectionDuplex(connection));
  one.peer.write('the first');
  await expect.poll(() => streams[0]!.readableLength).toBe('the first'.length);
  other.peer.write('THE OTHER');
  await expect.poll(() => streams[1]!.readableLength).toBe('THE OTHER'.length);
  expect(streams.map(stream => String(stream.read()))).toEqual(['the first', 'THE OTHER']);
});

it('fails at once on a connection that is closed already', async () => {
  const { connection } = await pair();
  const over = closed(connection.socket);
  connection.socket.destroy();
  await over;
  const stream = new ConnectionDuplex(connection);
  const failed = closed(stream);
  stream.resume();
  await failed;
  expect(stream.errored).toMatchObject({ code: 'ERR_CLOSED' });
});

it('does not take a reset behind unread data for an end', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection);
  const over = closed(stream);
  let ended = false;
  stream.on('end', () => {
    ended = true;
  });
  peer.write('some of it');
  await turn();
  peer.resetAndDestroy();
  for (let turns = 0; turns < 20; turns++) await turn();
  stream.resume();
  await over;
  expect(ended).toBe(false);
});

it('gives the connection back with what was read and not consumed, and leaves it open', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection, Buffer.from('consumed'));
  const [consumed] = await once(stream, 'data');
  expect(String(consumed)).toBe('consumed');
  stream.removeAllListeners('data').pause();
  peer.write('not consumed');
  await expect.poll(() => stream.readableLength).toBe('not consumed'.length);
  expect(Buffer.from(stream.detach()).toString()).toBe('not consumed');
  await closed(stream);
  expect(connection.socket.destroyed).toBe(false);

  const taken: string[] = [];
  peer.write('for the next');
  for (let turns = 0; turns < 50; turns++) await turn();
  connection.receive = (input, length) => {
    taken.push(Buffer.from(input.subarray(0, length)).toString());
    return true;
  };
  connection.socket.resume();
  await expect.poll(() => taken).toEqual(['for the next']);
  connection.socket.end('and back');
  expect(Buffer.concat(await peer.toArray()).toString()).toBe('and back');
});

it('gives back what nobody has begun to read', async () => {
  const { connection } = await pair();
  expect(Buffer.from(new ConnectionDuplex(connection, Buffer.from('all')).detach()).toString()).toBe('all');
});

it('stops reading when it is detached by the one who has just been given the bytes', async () => {
  const { peer, connection } = await pair();
  const stream = new ConnectionDuplex(connection);
  const got = once(stream, 'data').then(([chunk]) => chunk as Buffer);
  stream.once('data', () => {
    stream.removeAllListeners('data');
    expect(stream.detach()).toHaveLength(0);
    connection.receive = () => {
      throw new Error('nobody has asked for it');
    };
  });
  peer.write('one');
  await got;
  peer.write('two');
  for (let turns = 0; turns < 50; turns++) await turn();
});
