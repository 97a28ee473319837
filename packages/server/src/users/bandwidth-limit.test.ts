import type { Throttled } from '@podsocks/shared/net/throttle';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BandwidthLimit } from './bandwidth-limit.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A flow that always has bytes to read, in steps of so many, and counts what it got through. */
class Eager implements Throttled {
  passed = 0;
  readonly #limit: BandwidthLimit;
  readonly #step: number;
  #timer: NodeJS.Immediate | undefined;

  constructor(limit: BandwidthLimit, step: number) {
    this.#limit = limit;
    this.#step = step;
  }

  proceed(): void {
    this.#timer = setImmediate(() => this.#read());
  }

  stop(): void {
    clearImmediate(this.#timer);
    this.#limit.leave(this);
  }

  #read(): void {
    this.passed += this.#step;
    if (this.#limit.pass(this.#step)) this.proceed();
    else this.#limit.wait(this);
  }
}

describe('a bandwidth limit', () => {
  it('lets pass what it says in the long run, in however many connections', async () => {
    for (const flows of [1, 3, 50]) {
      const limit = new BandwidthLimit(1_000_000);
      const all = Array.from({ length: flows }, () => new Eager(limit, 20_000));
      for (const flow of all) flow.proceed();
      await vi.advanceTimersByTimeAsync(60_000);
      const passed = all.reduce((sum, flow) => sum + flow.passed, 0);
      for (const flow of all) flow.stop();
      limit.close();
      expect(passed).toBeGreaterThan(59_000_000);
      // Each overdraws it once at the beginning.
      expect(passed).toBeLessThan(60_250_000 + flows * 20_000 + 20_000);
      const shares = all.map(flow => flow.passed);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(2 * 20_000);
    }
  });

  it('gives small ones their turn beside large ones', async () => {
    const limit = new BandwidthLimit(1_000_000);
    const [large, small] = [new Eager(limit, 250_000), new Eager(limit, 100)];
    large.proceed();
    small.proceed();
    await vi.advanceTimersByTimeAsync(10_000);
    large.stop();
    small.stop();
    expect(small.passed / 100).toBeGreaterThanOrEqual(large.passed / 250_000 - 1);
  });

  it('lets nobody pass while others wait for their turn', () => {
    const limit = new BandwidthLimit(1_000_000);
    expect(limit.pass(1_000_000)).toBe(false);
    const [one, other] = [{ proceed: vi.fn() }, { proceed: vi.fn() }];
    limit.wait(one);
    limit.wait(other);
    vi.advanceTimersToNextTimer();
    expect([one.proceed.mock.calls.length, other.proceed.mock.calls.length]).toEqual([1, 0]);
    vi.setSystemTime(Date.now());
    expect(limit.pass(0)).toBe(false);
    vi.advanceTimersToNextTimer();
    expect(other.proceed).toHaveBeenCalledOnce();
    expect(limit.pass(0)).toBe(true);
    limit.close();
  });

  it('forgets those who leave', async () => {
    const limit = new BandwidthLimit(1000);
    expect(limit.pass(10_000)).toBe(false);
    const proceed = vi.fn();
    const waiter = { proceed };
    limit.wait(waiter);
    limit.leave(waiter);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(proceed).not.toHaveBeenCalled();
    limit.pass(10_000);
    limit.wait(waiter);
    limit.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(proceed).not.toHaveBeenCalled();
  });

  it('drops datagrams beyond it, also where connections take all', async () => {
    const limit = new BandwidthLimit(80_000);
    let passed = 0;
    for (let sent = 0; sent < 1000; sent++) {
      await vi.advanceTimersByTimeAsync(10);
      if (limit.passDatagram(1000)) passed++;
    }
    expect(passed).toBeGreaterThan(780); // of 1000 in 10 s that were sent, 800 and the burst
    expect(passed).toBeLessThan(840);

    const eager = new Eager(limit, 20_000);
    eager.proceed();
    await vi.advanceTimersByTimeAsync(1000);
    const [before, streamed] = [passed, eager.passed];
    for (let sent = 0; sent < 1000; sent++) {
      await vi.advanceTimersByTimeAsync(10);
      if (limit.passDatagram(1000)) passed++;
    }
    eager.stop();
    limit.close();
    expect(passed - before).toBeGreaterThan(95);
    expect((passed - before) * 1000 + eager.passed - streamed).toBeLessThan(80_000 * 10 + 60_000);
  });

  it('leaves connections the rest, however many datagrams come', async () => {
    const limit = new BandwidthLimit(80_000);
    const eager = new Eager(limit, 1000);
    eager.proceed();
    let passed = 0;
    for (let sent = 0; sent < 60_000; sent++) {
      await vi.advanceTimersByTimeAsync(1); // 100 kB/s
      if (sent % 10 === 0 && limit.passDatagram(1000)) passed += 1000;
    }
    eager.stop();
    limit.close();
    expect(eager.passed).toBeGreaterThan(80_000 * 60 * 0.8);
    expect(passed).toBeGreaterThan(80_000 * 60 * 0.12);
  });

  it('keeps for connections that wait what has come in for them', () => {
    let now = 0;
    const limit = new BandwidthLimit(80_000, () => now);
    expect(limit.pass(30_000)).toBe(false);
    limit.wait({ proceed: () => {} });
    now = 500; // it has been paid back, and their timer is late
    const share = () => limit.passDatagram(2500);
    expect([share(), share()]).toEqual([true, false]);
    limit.close();
  });

  it('may be lifted and set while somebody waits', async () => {
    const limit = new BandwidthLimit(1000);
    const eager = new Eager(limit, 100_000);
    eager.proceed();
    await vi.advanceTimersByTimeAsync(1000);
    expect(eager.passed).toBe(100_000);
    limit.set(100_000_000);
    await vi.advanceTimersByTimeAsync(1000);
    const fast = eager.passed;
    expect(fast).toBeGreaterThan(90_000_000);
    limit.set(undefined);
    expect(limit.pass(1e12)).toBe(true);
    expect(limit.passDatagram(1e12)).toBe(true);
    limit.set(1000);
    await vi.advanceTimersByTimeAsync(10);
    const slow = eager.passed;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(eager.passed - slow).toBeLessThanOrEqual(100_000);
    eager.stop();
    limit.close();
  });

  it('owes for longer than a timer lasts', async () => {
    const limit = new BandwidthLimit(1000);
    expect(limit.pass(5e9)).toBe(false);
    const proceed = vi.fn();
    limit.wait({ proceed });
    await vi.advanceTimersByTimeAsync(5e6);
    expect(proceed).not.toHaveBeenCalled();
    limit.close();
  });
});
