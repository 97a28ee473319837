import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { Connection } from './connection.ts';
import { dial } from './dial.ts';
import { IdleClock } from './idle-clock.ts';
import { type RelayEnd, type RelayOptions, relay } from './relay.ts';
import { COPYING } from './transform.ts';

interface Relayed {
  readonly client: Socket;
  readonly target: Socket;
  readonly clientSide: Connection;
  readonly ended: Promise<RelayEnd>;
}

/** client socket — relay — target socket, over loopback. */
async function startRelay(options: Partial<RelayOptions> = {}): Promise<Relayed> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const clientSide = Connection.adopt(accepted);
  const targetAccepted = once(server, 'connection') as Promise<[Socket]>;
  const targetSide = await dial({ host: '127.0.0.1', port, timeout: 1000, ipv6First: false, noDelay: true });
  const [target] = await targetAccepted;
  server.close();
  for (const socket of [client, target]) socket.on('error', () => {});
  const ended = relay({
    client: clientSide,
    target: targetSide,
    up: COPYING,
    down: COPYING,
    first: undefined,
    clock: new IdleClock(300_000),
    idleTimeout: 300_000,
    absorb: undefined,
    ...options,
  });
  return { client, target, clientSide, ended };
}

/** events.once would reject when an error comes first. */
function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.resume().once('close', () => resolve()));
}

describe('a relay', () => {
  // The relay's own clock only; sockets stay real.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  it('ends in order when both directions have, and counts their bytes', async () => {
    const { client, target, ended } = await startRelay();
    client.end('abc');
    target.end('de');
    expect(Buffer.concat(await target.toArray()).toString()).toBe('abc');
    expect(Buffer.concat(await client.toArray()).toString()).toBe('de');
    expect(await ended).toMatchObject({ bytesUp: 3, bytesDown: 2, error: undefined });
  });

  it('gives up an idle connection after its timeout, not before', async () => {
    const { client, ended } = await startRelay({ idleTimeout: 10_000 });
    const end = closed(client);
    vi.advanceTimersByTime(10_000); // the first look finds it active: it has just begun
    expect(client.destroyed).toBe(false);
    vi.advanceTimersByTime(1_000);
    await end;
    expect((await ended).error).toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  it('gives up a half-closed one that moves nothing after 30 s', async () => {
    const { client, target, ended } = await startRelay();
    client.end();
    await once(target.resume(), 'end');
    vi.advanceTimersByTime(30_000);
    expect(target.destroyed).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect((await ended).error).toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  it('keeps a half-closed one that moves bytes', async () => {
    const { client, target, ended } = await startRelay();
    client.end();
    await once(target.resume(), 'end');
    for (let count = 0; count < 5; count++) {
      vi.advanceTimersByTime(20_000);
      target.write('x');
      await once(client, 'data');
    }
    target.end();
    expect((await ended).error).toBeUndefined();
  });

  it('stops reading where the other side does not, and goes on with it', async () => {
    const { client, clientSide, target, ended } = await startRelay();
    const sent = Buffer.alloc(64 << 20, 7);
    client.end(sent);
    // Nobody reads the target: what leaves the client is what the kernel's buffers take.
    let before = -1;
    let unread = 0;
    while (before !== unread) {
      before = unread;
      await sleep(100);
      unread = clientSide.socket.bytesRead;
    }
    expect(unread).toBeLessThan(32 << 20);
    expect(Buffer.concat(await target.toArray()).equals(sent)).toBe(true);
    expect(clientSide.socket.bytesRead).toBe(sent.length);
    target.end();
    expect((await ended).bytesUp).toBe(sent.length);
  });

  it('resets both sides when a transform refuses bytes', async () => {
    const refusing = {
      ...COPYING,
      apply: () => {
        throw new PodsocksError('ERR_AUTHENTICATION', 'altered');
      },
    };
    const { client, target, ended } = await startRelay({ up: refusing });
    client.write('x');
    const errors = await Promise.all(
      [client, target].map(socket => once(socket.resume(), 'error').catch(error => [error])),
    );
    expect(errors.flat().map(error => error.code)).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect((await ended).error).toMatchObject({ code: 'ERR_AUTHENTICATION' });
  });

  it('leaves the refused side to its absorber, if there is one', async () => {
    const refusing = {
      ...COPYING,
      apply: () => {
        throw new PodsocksError('ERR_AUTHENTICATION', 'altered');
      },
    };
    const absorbed: Connection[] = [];
    const { client, clientSide, target, ended } = await startRelay({
      up: refusing,
      absorb: connection => absorbed.push(connection),
    });
    client.write('x');
    await once(target.resume(), 'error').catch(() => {});
    expect((await ended).error).toMatchObject({ code: 'ERR_AUTHENTICATION' });
    expect(absorbed).toEqual([clientSide]);
    expect(clientSide.socket.destroyed).toBe(false);
    client.destroy();
    clientSide.socket.destroy();
  });

  it('ends the other side when a peer was gone before it began', async () => {
    const gone = await startRelay();
    gone.clientSide.socket.destroy();
    await gone.ended;
    const { target, ended } = gone;
    await closed(target);
    expect((await ended).error).toBeDefined();
  });
});
