import { describe, expect, it } from 'vitest';
import { random } from './random.ts';

describe('random bytes', () => {
  it('come in any length', () => {
    for (const length of [0, 1, 16, 32, 4095, 4096, 4097, 10_000]) expect(random(length)).toHaveLength(length);
  });

  it('are never handed out twice, nor shared', () => {
    const seen = new Set<string>();
    for (let count = 0; count < 2000; count++) {
      const bytes = random(16);
      expect(bytes.buffer.byteLength).toBe(16);
      seen.add(Buffer.from(bytes).toString('hex'));
    }
    expect(seen.size).toBe(2000);
  });

  it('have every value in every place', () => {
    const seen = Array.from({ length: 4 }, () => new Set<number>());
    for (let count = 0; count < 5000; count++) {
      for (const [place, byte] of random(4).entries()) seen[place]!.add(byte);
    }
    expect(seen.map(values => values.size)).toEqual([256, 256, 256, 256]);
  });
});
