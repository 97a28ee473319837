import { describe, expect, it } from 'vitest';
import { LinkHealth } from './link-health.ts';
import { isDue, probeInterval } from './probe-schedule.ts';

const probed = (health: LinkHealth) => ({ health, probedAt: 0, aliveAt: 0 });

function told(script: string): LinkHealth {
  const health = new LinkHealth();
  for (const outcome of script) {
    if (outcome === '+') health.good(10);
    else if (outcome === '-') health.bad('', 0);
    else health.isSuspect = true;
  }
  return health;
}

describe('a server is probed', () => {
  it.each<[string, string, boolean, number, number]>([
    ['at once when nothing is known of it', '', false, 3, 0],
    ['soon when it is new', '+', true, 3, 1_000],
    ['often while it is in use', '++', true, 3, 10_000],
    ['now and then while it is not', '++', false, 3, 30_000],
    ['more seldom where there are very many', '++', false, 100, 200_000],
    ['soon when it is down', '-', false, 3, 5_000],
    ['less soon each time', '--', false, 3, 7_500],
    ['at most so seldom', '----------', false, 3, 30_000],
    ['soon when it is up again', '+-+', false, 3, 1_000],
    ['soon until it is trusted again', '+-+-++', false, 3, 5_000],
    ['as others when it is trusted again', '+-++', false, 3, 30_000],
    ['very soon when it has failed a connection', '+?', true, 3, 1_000],
  ])('%s', (_, script, isInUse, count, expected) => {
    expect(probeInterval(probed(told(script)), isInUse, count, 0)).toBe(expected);
  });

  it('not by all at the same time', () => {
    const server = probed(told('++'));
    expect([0, 1].map(jitter => isDue(server, false, 2, 27_000, jitter))).toEqual([true, false]);
    expect([0, 1].map(jitter => isDue(server, false, 2, 26_999, jitter))).toEqual([false, false]);
    expect([0, 1].map(jitter => isDue(server, false, 2, 33_000, jitter))).toEqual([true, true]);
  });
});
