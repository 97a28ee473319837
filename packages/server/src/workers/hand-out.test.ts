import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HandOut, type Receiver } from './hand-out.ts';

class Connection {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

/** Connections as HandOut sees them. */
function connections(count: number): (Connection & Socket)[] {
  return Array.from({ length: count }, () => new Connection() as Connection & Socket);
}

/** Takes what it is handed when it is told to. */
class Worker implements Receiver {
  readonly got: Socket[] = [];
  #handed = () => {};

  hand(socket: Socket, handed: () => void): void {
    this.got.push(socket);
    this.#handed = handed;
  }

  take(): void {
    this.#handed();
  }
}

function setUp(mostWaiting = 100, patience = 60_000) {
  const handOut = new HandOut(mostWaiting, patience);
  const [ada, ben] = [new Worker(), new Worker()];
  handOut.add(ada);
  handOut.add(ben);
  return { handOut, ada, ben };
}

describe('connections', () => {
  it('do not go to a worker that has retired, but what was on the way stays its own', () => {
    const { handOut, ada, ben } = setUp();
    const [a, b, c, d] = connections(4);
    for (const each of [a!, b!]) handOut.offer(each);
    handOut.retire(ada);
    ada.take();
    ben.take();
    for (const each of [c!, d!]) {
      handOut.offer(each);
      ben.take();
    }
    expect([ada.got, ben.got]).toEqual([[a], [b, c, d]]);
  });

  it('are closed when they have waited for too long, and no earlier ones are', async () => {
    const { handOut, ada } = setUp(100, 200);
    const [a, b, c] = connections(3);
    for (const each of [a!, b!, c!]) handOut.offer(each);
    await expect.poll(() => c!.destroyed).toBe(true);
    expect([a!.destroyed, b!.destroyed]).toEqual([false, false]); // on the way
    ada.take();
    expect(ada.got).toEqual([a]);
    handOut.close();
  });

  it('go to workers in turn', () => {
    const { handOut, ada, ben } = setUp();
    const [a, b, c, d] = connections(4);
    for (const each of [a!, b!, c!, d!]) {
      handOut.offer(each);
      ada.take();
      ben.take();
    }
    expect([ada.got, ben.got]).toEqual([
      [a, c],
      [b, d],
    ]);
  });

  it('wait while all workers are busy, and go to whoever is free first', () => {
    const { handOut, ada, ben } = setUp();
    const [a, b, c, d] = connections(4);
    for (const each of [a!, b!, c!, d!]) handOut.offer(each);
    expect([ada.got, ben.got]).toEqual([[a], [b]]);
    ben.take();
    ben.take();
    expect([ada.got, ben.got]).toEqual([[a], [b, c, d]]);
  });

  it('wait while there is no worker', () => {
    const handOut = new HandOut(100, 60_000);
    const [a] = connections(1);
    handOut.offer(a!);
    const ada = new Worker();
    handOut.add(ada);
    expect(ada.got).toEqual([a]);
  });

  it('are kept until they have arrived', () => {
    const { handOut, ada } = setUp();
    const [a] = connections(1);
    handOut.offer(a!);
    expect(a!.destroyed).toBe(false);
    ada.take();
    expect(a!.destroyed).toBe(true);
  });

  it('go to another worker when theirs ends before it has them', () => {
    const { handOut, ada, ben } = setUp();
    const [a] = connections(1);
    handOut.offer(a!);
    handOut.remove(ada);
    expect(ben.got).toEqual([a]);
    ada.take(); // too late
    expect(a!.destroyed).toBe(false);
    ben.take();
    expect(a!.destroyed).toBe(true);
  });

  it('do not wait in any number: the oldest is closed', () => {
    const handOut = new HandOut(2, 60_000);
    const [a, b, c] = connections(3);
    for (const each of [a!, b!, c!]) handOut.offer(each);
    expect([a, b, c].map(each => each!.destroyed)).toEqual([true, false, false]);
  });

  it('are closed, also those that come later, when it is over', () => {
    const { handOut, ada, ben } = setUp();
    const [a, b, c, d] = connections(4);
    for (const each of [a!, b!, c!]) handOut.offer(each);
    handOut.close();
    handOut.offer(d!);
    expect([c!.destroyed, d!.destroyed]).toEqual([true, true]);
    handOut.remove(ben);
    expect([a!.destroyed, b!.destroyed]).toEqual([false, true]);
    ada.take();
    expect([ada.got, ben.got]).toEqual([[a], [b]]);
  });
});
