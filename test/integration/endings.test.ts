import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { onConfirmedEnd } from '../support/confirm-end.ts';
import { freePort } from '../support/free-port.ts';
import { startPair } from '../support/in-process.ts';
import { startEcho } from '../support/targets/echo.ts';

async function listen(onConnection: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

/** A raw SOCKS5 connection, for endings that only a socket can tell apart. */
async function socks(socksPort: number, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: socksPort, allowHalfOpen: true });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff));
  let head = Buffer.alloc(0);
  while (head.length < 2 + 10) {
    const [part] = (await once(socket, 'data')) as [Buffer];
    head = Buffer.concat([head, part]);
  }
  expect([...head.subarray(0, 4)]).toEqual([5, 0, 5, 0]);
  return socket;
}

function ending(socket: Socket): Promise<'fin' | 'rst'> {
  return new Promise(resolve => {
    onConfirmedEnd(socket, () => resolve('fin'));
    socket.once('error', () => resolve('rst'));
    socket.resume();
  });
}

describe('how a connection ends', () => {
  it('a refused target is a reset, not an empty answer', async () => {
    const pair = await startPair();
    const socket = await socks(pair.socksPort, await freePort());
    socket.write('hello');
    expect(await ending(socket)).toBe('rst');
    await expect.poll(() => pair.log.join('')).toContain('connection refused (ECONNREFUSED)');
    await expect.poll(() => pair.log.join('')).toContain('the server ended without an answer');
  });

  it('a reset of the target is one for the client', async () => {
    const target = await listen(socket => socket.once('data', () => socket.resetAndDestroy()));
    const pair = await startPair();
    const socket = await socks(pair.socksPort, target.port);
    socket.write('hello');
    expect(await ending(socket)).toBe('rst');
  });

  it('a reset right behind data is not taken for an end', async () => {
    const target = await listen(socket =>
      socket.once('data', () => socket.write(Buffer.alloc(100_000), () => socket.resetAndDestroy())),
    );
    const pair = await startPair();
    const ends = Array.from({ length: 30 }, async () => {
      const socket = await socks(pair.socksPort, target.port);
      socket.write('hello');
      return ending(socket);
    });
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['rst']));
  });

  it('a reset of the client is one for the target', async () => {
    const target = await listen(() => {});
    const pair = await startPair();
    const accepted = once(target.server, 'connection') as Promise<[Socket]>;
    const socket = await socks(pair.socksPort, target.port);
    socket.write('hello');
    const [targetSide] = await accepted;
    await once(targetSide, 'data');
    socket.resetAndDestroy();
    expect(await ending(targetSide)).toBe('rst');
  });

  it('FIN and RST together leave nothing behind', async () => {
    const ROUNDS = 10;
    const DRAIN_TIMEOUT_MS = 10_000;
    const target = await listen(() => {});
    const drainTimeout = DRAIN_TIMEOUT_MS;
    const pair = await startPair({ server: { drainTimeout }, client: { drainTimeout } });
    for (let round = 0; round < ROUNDS; round++) {
      const accepted = once(target.server, 'connection') as Promise<[Socket]>;
      const socket = await socks(pair.socksPort, target.port);
      socket.write('hello');
      const [targetSide] = await accepted;
      await once(targetSide, 'data');
      targetSide.pause();
      // The proxies hold bytes for a target that first says it will send no more, and then has gone.
      socket.write(Buffer.alloc(16 << 20));
      await sleep(50);
      await new Promise<void>(resolve => targetSide.end(resolve));
      targetSide.destroy(); // with bytes unread, which makes it a RST
      await ending(socket);
      socket.destroy();
    }
    const begun = Date.now();
    await pair.client.drain();
    await pair.server.drain();
    await expect.poll(() => pair.log.filter(line => line.includes('"bytesUp"')).length).toBe(2 * ROUNDS);
    expect(Date.now() - begun).toBeLessThan(DRAIN_TIMEOUT_MS); // nothing was left that had to be cut
  });

  it('a target that ends first still gets the rest of the request', async () => {
    const target = await listen(socket => socket.end('bye'));
    const accepted = once(target.server, 'connection') as Promise<[Socket]>;
    const pair = await startPair();
    const socket = await socks(pair.socksPort, target.port);
    expect(await ending(socket)).toBe('fin');
    socket.write('one ');
    await sleep(20);
    socket.end('two');
    const [targetSide] = await accepted;
    expect(Buffer.concat(await targetSide.toArray()).toString()).toBe('one two');
  });

  it('an idle connection ends after the timeout, on both sides', async () => {
    const target = await listen(() => {});
    const pair = await startPair({ server: { timeout: 300 } });
    const accepted = once(target.server, 'connection') as Promise<[Socket]>;
    const socket = await socks(pair.socksPort, target.port);
    socket.write('hello');
    const [targetSide] = await accepted;
    await Promise.all([ending(socket), ending(targetSide)]);
    await expect.poll(() => pair.log.join('')).toContain('no byte for 0.3 s');
  });

  it('one that moves bytes does not', async () => {
    const echo = await startEcho();
    const pair = await startPair({ server: { timeout: 300 }, client: { timeout: 300 } });
    const connection = await pair.connect({ host: '127.0.0.1', port: echo.port });
    for (let count = 0; count < 10; count++) {
      await connection.send('x');
      expect(String(await connection.take(1))).toBe('x');
      await sleep(80);
    }
    connection.end();
    await echo.close();
  });
});

describe('stopping', () => {
  it('lets open connections finish, and takes no new ones', async () => {
    const echo = await startEcho();
    const pair = await startPair();
    const connection = await pair.connect({ host: '127.0.0.1', port: echo.port });
    await connection.send('before');
    await connection.take(6);
    const drained = pair.server.drain();
    await expect(
      pair.connect({ host: '127.0.0.1', port: echo.port }),
      'a new one must fail, for the server is not reached any more',
    ).rejects.toThrow('SOCKS5: reply 1');
    await connection.send('after');
    expect(String(await connection.take(5))).toBe('after');
    connection.end();
    expect(await connection.takeAll()).toHaveLength(0);
    await drained;
    await echo.close();
  });

  it('cuts what is left after the drain timeout', async () => {
    const echo = await startEcho();
    const pair = await startPair({ server: { drainTimeout: 200 } });
    const socket = await socks(pair.socksPort, echo.port);
    socket.write('hello');
    await once(socket, 'data');
    const ended = ending(socket);
    await pair.server.drain();
    expect(await ended).toBe('rst');
    await echo.close();
  });

  it('does not wait for strangers', async () => {
    const pair = await startPair({ server: { drainTimeout: 60_000, handshakeTimeout: 60_000 } });
    const { host, port } = pair.server.addresses[0]!;
    const stranger = connect({ host, port });
    stranger.on('error', () => {});
    await once(stranger, 'connect');
    await sleep(50);
    const ended = ending(stranger);
    await pair.server.drain();
    expect(await ended).toBe('fin');
  });
});
