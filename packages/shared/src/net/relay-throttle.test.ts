import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { buffers } from '../runtime/buffer-pool.ts';
import { Connection } from './connection.ts';
import { dial } from './dial.ts';
import { IdleClock } from './idle-clock.ts';
import { type RelayEnd, type RelayOptions, relay } from './relay.ts';
import type { Throttle, Throttled } from './throttle.ts';
import { COPYING } from './transform.ts';

/** Lets nothing follow until it is told to. */
class Gate implements Throttle {
  readonly waiting = new Set<Throttled>();
  passed = 0;
  isOpen = false;

  pass(bytes: number): boolean {
    this.passed += bytes;
    return this.isOpen;
  }

  wait(throttled: Throttled): void {
    this.waiting.add(throttled);
  }

  leave(throttled: Throttled): void {
    this.waiting.delete(throttled);
  }

  /** Lets all go on that wait, each for one read if it stays closed. */
  step(): void {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const throttled of all) throttled.proceed();
  }

  open(): void {
    this.isOpen = true;
    this.step();
  }
}

interface Relayed {
  readonly gate: Gate;
  readonly client: Socket;
  readonly clientSide: Connection;
  readonly target: Socket;
  readonly ended: Promise<RelayEnd>;
}

async function startRelay(
  options: Partial<RelayOptions> = {},
  before: (client: Socket, clientSide: Connection) => Promise<unknown> = async () => {},
): Promise<Relayed> {
  const gate = new Gate();
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
  await before(client, clientSide);
  const ended = relay({
    ...{ client: clientSide, target: targetSide, up: COPYING, down: COPYING, first: undefined },
    ...{ clock: new IdleClock(300_000), idleTimeout: 300_000, absorb: undefined, throttle: gate },
    ...options,
  });
  return { gate, client, clientSide, target, ended };
}

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve));
};

function onBytes(socket: Socket, take: (length: number) => void): void {
  socket.on('data', (data: Buffer) => take(data.length)).resume();
}

function firstBytes(text: string) {
  const buffer = buffers.take(text.length);
  buffer.set(Buffer.from(text));
  return { buffer, length: text.length, plaintextLength: text.length };
}

async function textOf(socket: Socket): Promise<string> {
  return Buffer.concat(await socket.toArray()).toString();
}

describe('a throttled relay', () => {
  it('reads nothing before it is let, and sends nothing that came first', async () => {
    const { gate, client, target } = await startRelay({ first: firstBytes('first') });
    client.write(', then');
    target.write('down');
    let received = 0;
    for (const socket of [client, target])
      onBytes(socket, length => {
        received += length;
      });
    await turns(20);
    expect([received, gate.passed, gate.waiting.size]).toEqual([0, 0, 2]);
    gate.step();
    await expect.poll(() => received).toBe(9); // each one step further: what came first, and one read
    gate.open();
    await expect.poll(() => received).toBe(15);
    expect(gate.passed).toBe(15);
    client.destroy();
    target.destroy();
  });

  it('loses nothing, however often it is held back, and ends in order', async () => {
    const { gate, client, target, ended } = await startRelay({ first: firstBytes('<') });
    const bytes = 5_000_000;
    client.end(Buffer.alloc(bytes, 'u'));
    target.end(Buffer.alloc(bytes, 'd'));
    const stepping = setInterval(() => gate.step(), 1);
    const [up, down] = await Promise.all([textOf(target), textOf(client)]);
    expect(await ended).toMatchObject({ bytesUp: bytes + 1, bytesDown: bytes, error: undefined });
    clearInterval(stepping);
    expect(up).toBe(`<${'u'.repeat(bytes)}`);
    expect(down).toBe('d'.repeat(bytes));
    expect([gate.waiting.size, gate.passed]).toEqual([0, 2 * bytes + 1]);
  });

  it('sends what came first before the end that came with it', async () => {
    const end = (client: Socket, clientSide: Connection) => {
      const seen = once(clientSide.socket.resume(), 'end');
      client.end();
      return seen;
    };
    const { gate, client, target, ended } = await startRelay({ first: firstBytes('all') }, end);
    await turns(20);
    gate.open();
    expect(await textOf(target)).toBe('all');
    target.end();
    expect(await textOf(client)).toBe('');
    expect(await ended).toMatchObject({ bytesUp: 3, error: undefined });
  });

  it('does not time out while it is held back, and does after that', async () => {
    const { gate, client, target, ended } = await startRelay({ clock: new IdleClock(40), idleTimeout: 40 });
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    await new Promise(resolve => setTimeout(resolve, 200));
    expect(isOver).toBe(false);
    gate.open();
    expect((await ended).error).toMatchObject({ code: 'ERR_TIMEOUT' });
    client.destroy();
    target.destroy();
  });

  it('leaves when a peer resets while it is held back', async () => {
    const { gate, client, target, ended } = await startRelay({ first: firstBytes('x') });
    client.write('y');
    expect(gate.waiting.size).toBe(2);
    target.resetAndDestroy();
    client.resetAndDestroy();
    gate.step(); // nobody sees a reset without reading
    gate.open();
    expect((await ended).error).toBeDefined();
    expect(gate.waiting.size).toBe(0);
  });

  it('that was stopped leaves at once', async () => {
    const { gate, clientSide, ended } = await startRelay({ first: firstBytes('x') });
    expect(gate.waiting.size).toBe(2);
    clientSide.reset();
    expect((await ended).error).toMatchObject({ code: 'ERR_CLOSED' });
    expect(gate.waiting.size).toBe(0);
  });

  it('that waits for its sink and its throttle waits for both', async () => {
    const bytes = 32_000_000;
    const { gate, client, target } = await startRelay({ first: firstBytes('x'.repeat(bytes)) });
    client.write('more');
    gate.step();
    expect([gate.passed, gate.waiting.size]).toEqual([bytes, 1]); // more than the kernel takes at once
    let received = 0;
    onBytes(target, length => {
      received += length;
    });
    await expect.poll(() => received, { timeout: 10_000 }).toBe(bytes);
    await turns(20);
    expect([gate.passed, received]).toEqual([bytes, bytes]);
    gate.step();
    await expect.poll(() => received).toBe(bytes + 4);
    client.destroy();
    target.destroy();
  });

  it('goes on when its sink reads, if its throttle let it before', async () => {
    const bytes = 32_000_000;
    const { gate, client, target } = await startRelay({ first: firstBytes('x'.repeat(bytes)) });
    client.write('more');
    gate.step();
    gate.open();
    let received = 0;
    onBytes(target, length => {
      received += length;
    });
    await expect.poll(() => received, { timeout: 10_000 }).toBe(bytes + 4);
    client.destroy();
    target.destroy();
  });
});
