import { describe, expect, it } from 'vitest';
import { LinkHealth } from './link-health.ts';

describe('the health of a server', () => {
  it('is unknown, healthy or unhealthy, and says why', () => {
    const health = new LinkHealth();
    expect(health.state).toBe('unknown');
    health.good(20);
    expect(health).toMatchObject({ state: 'healthy', roundTrip: 20, latency: 20, reason: undefined });
    health.bad('no answer', 0);
    expect(health).toMatchObject({ state: 'unhealthy', reason: 'no answer', roundTrip: 20, badInARow: 1 });
    health.good(30);
    expect(health).toMatchObject({ state: 'healthy', isFamiliar: false, latency: 30, reason: undefined, badInARow: 0 });
  });

  it('smooths round trips', () => {
    const health = new LinkHealth();
    health.good(300);
    health.good(100); // the first one does not count for much
    expect(health.latency).toBe(100);
    health.good(200);
    expect(health.latency).toBeCloseTo(120);
    expect(health.roundTrip).toBe(200);
  });

  it('is doubted until a probe ends', () => {
    const health = new LinkHealth();
    for (const end of [() => health.good(1), () => health.bad('', 0), () => health.forget()]) {
      health.isSuspect = true;
      end();
      expect(health.isSuspect).toBe(false);
    }
  });

  it('is trusted later after each fall, and as before when all falls are long ago', () => {
    const health = new LinkHealth();
    const probesToTrust = (now: number) => {
      let probes = 0;
      do {
        health.good(1);
        probes++;
      } while (!health.isTrusted(now));
      return probes;
    };
    const needed = [probesToTrust(0)];
    for (let fall = 1; fall <= 6; fall++) {
      health.bad('', fall);
      needed.push(probesToTrust(fall));
    }
    expect(needed).toEqual([1, 2, 4, 8, 16, 16, 16]);
    health.bad('', 20);
    health.good(1);
    expect(health.isTrusted(600_019)).toBe(false);
    expect(health.isTrusted(700_000)).toBe(true);
  });

  it('does not fall further while it is down', () => {
    const health = new LinkHealth();
    health.good(1);
    for (let i = 0; i < 5; i++) health.bad('', i);
    expect(health.badInARow).toBe(5);
    health.good(1);
    health.good(1);
    expect(health.isTrusted(10)).toBe(true);
  });
});
