import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { countedReplayFilter, timedReplayFilter } from './replay-filter.ts';

describe('the replay filter of SIP022', () => {
  it('knows every salt of the last 65 s exactly, and forgets after 130 s', () => {
    let now = 0;
    const filter = timedReplayFilter(32, () => now, 5);
    const salts = Array.from({ length: 5000 }, () => new Uint8Array(randomBytes(32)));
    for (const [index, salt] of salts.entries()) {
      now = index * 20; // 100 s for all
      expect(filter.add(salt)).toBe('fresh');
      const back = salts[Math.max(0, index - 3249)]!; // up to 64.98 s ago
      expect(filter.add(back)).toBe('replayed');
    }
    now += 130_000;
    for (const salt of salts) expect(filter.add(salt)).toBe('fresh');
  });

  it.each([64_999, 65_000, 129_999])(
    'knows a salt for as long as its timestamp can be good, whenever it came before a turn: %i ms',
    cameAt => {
      let now = 0;
      const filter = timedReplayFilter(32, () => now, 5);
      filter.add(new Uint8Array(32).fill(1)); // the clock of turns runs
      now = cameAt;
      const salt = new Uint8Array(32).fill(2);
      expect(filter.add(salt)).toBe('fresh');
      now = 65_000 * Math.ceil((cameAt + 1) / 65_000);
      filter.add(new Uint8Array(32).fill(3));
      now = cameAt + 61_000;
      expect(filter.add(salt)).toBe('replayed');
    },
  );

  it('forgets after a long pause, too', () => {
    let now = 0;
    const filter = timedReplayFilter(16, () => now, 5);
    const salt = new Uint8Array(16).fill(1);
    filter.add(salt);
    now = 10_000_000;
    expect(filter.add(salt)).toBe('fresh');
    expect(filter.add(salt)).toBe('replayed');
  });

  it('tells salts apart that differ in one bit, the empty one included', () => {
    const filter = timedReplayFilter(16, () => 0, 5);
    expect(filter.add(new Uint8Array(16))).toBe('fresh');
    for (let bit = 0; bit < 128; bit++) {
      const salt = new Uint8Array(16);
      salt[bit >> 3]! ^= 1 << (bit & 7);
      expect(filter.add(salt)).toBe('fresh');
      expect(filter.add(salt)).toBe('replayed');
    }
    expect(filter.add(new Uint8Array(16))).toBe('replayed');
  });

  it('refuses, and does not forget, when it is full', () => {
    const filter = timedReplayFilter(16, () => 0, 5);
    const salt = new Uint8Array(16);
    const view = new DataView(salt.buffer);
    for (let count = 0; count < 2 ** 19; count++) {
      view.setUint32(0, count);
      if (filter.add(salt) !== 'fresh') throw new Error(`salt ${count} was not fresh`);
    }
    view.setUint32(0, 2 ** 19);
    expect(filter.add(salt)).toBe('full');
    view.setUint32(0, 0);
    expect(filter.add(salt)).toBe('replayed');
  });
});

describe('the replay filter of SIP004', () => {
  it('knows at least the last 65,536 salts, whatever the time', () => {
    const filter = countedReplayFilter(32, 5);
    const salt = new Uint8Array(32);
    const view = new DataView(salt.buffer);
    const add = (count: number) => {
      view.setUint32(4, count);
      return filter.add(salt);
    };
    for (let count = 0; count < 200_000; count++) {
      if (add(count) !== 'fresh') throw new Error(`salt ${count} was not fresh`);
    }
    for (let count = 200_000 - 65_536; count < 200_000; count++) {
      if (add(count) !== 'replayed') throw new Error(`salt ${count} was forgotten`);
    }
    expect(add(0)).toBe('fresh'); // and memory is bounded
  });
});
