import { TtlCache } from '@podsocks/shared/dns/ttl-cache';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { firstFamily, inTurn, usableFamilies } from './address-order.ts';
import { Slots } from './slots.ts';

describe('a cache', () => {
  it('forgets the oldest when it is full, by weight', () => {
    const cache = new TtlCache<{ until: number; weight: number }>(6);
    cache.set('a', { until: 9, weight: 1 });
    cache.set('b', { until: 9, weight: 1 });
    cache.set('a', { until: 10, weight: 1 });
    cache.set('c', { until: 9, weight: 2 });
    expect(['a', 'b', 'c'].map(name => cache.get(name, 1)?.until)).toEqual([10, undefined, 9]);
    expect(cache.get('c', 9)).toBeUndefined();
    cache.set('d', { until: 9, weight: 99 });
    expect(cache.size).toBe(0);
  });
});

describe('slots', () => {
  it('are given in turn, and refused to those who wait too long or are too many', async () => {
    const slots = new Slots({ most: 1, mostWaiting: 2 });
    expect(await slots.take(1000)).toBe('taken');
    const [second, third, fourth] = [slots.take(10_000), slots.take(10), slots.take(10_000)];
    expect(await fourth).toBe('busy');
    expect(await third).toBe('busy');
    slots.give();
    expect(await second).toBe('taken');
    expect([slots.taken, slots.waiting]).toEqual([1, 0]);
    slots.give();
    expect(slots.taken).toBe(0);
  });

  it('leave no timer behind', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const slots = new Slots({ most: 1, mostWaiting: 2 });
    await slots.take(1000);
    const waiting = [slots.take(1000), slots.take(1000)];
    expect(vi.getTimerCount()).toBe(2);
    slots.give();
    slots.close();
    expect(await Promise.all(waiting)).toEqual(['taken', 'closed']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are not given after the end', async () => {
    const slots = new Slots({ most: 1, mostWaiting: 2 });
    await slots.take(1000);
    const waiting = slots.take(1000);
    slots.close();
    expect(await waiting).toBe('closed');
    expect(await slots.take(1000)).toBe('closed');
  });
});

describe('the order of addresses', () => {
  const v4 = (last: number) => ({ address: `10.0.0.${last}`, family: 4 as const });
  const v6 = (last: number) => ({ address: `fd00::${last}`, family: 6 as const });

  it('has families in turn, each from another address on', () => {
    const all = [v4(1), v4(2), v4(3), v6(1), v6(2)];
    expect(inTurn(all, 4)).toEqual([v4(1), v6(1), v4(2), v6(2), v4(3)]);
    expect(inTurn(all, 6, 1)).toEqual([v6(2), v4(2), v6(1), v4(3), v4(1)]);
    expect(inTurn([], 4, 7)).toEqual([]);
  });

  it('begins with a family that can be used: one with an address that is not for this machine or its links', () => {
    const face = (address: string, internal = false) => ({
      address,
      internal,
      family: address.includes(':') ? 'IPv6' : 'IPv4',
    });
    const usable = (...faces: unknown[]) =>
      usableFamilies(
        () => 0,
        () => ({ eth0: faces }) as never,
      );
    const onlyV4 = usable(face('::1', true), face('fe80::1'), face('10.0.0.7'));
    expect([onlyV4(4), onlyV4(6)]).toEqual([true, false]);
    expect(firstFamily(true, onlyV4)).toBe(4);
    expect(firstFamily(false, usable(face('fd00::1')))).toBe(6);
    expect(firstFamily(true, usable())).toBe(6);
  });
});
