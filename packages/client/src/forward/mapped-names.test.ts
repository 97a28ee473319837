import { describe, expect, it } from 'vitest';
import { parseMap } from './fields.ts';
import { MappedNames } from './mapped-names.ts';

describe('MappedNames', () => {
  const mapped = new MappedNames(['a.x:1', 'b.x:1', 'a.x:2'].map(parseMap));

  it('gives each name a loopback address of its own, the same for all of its ports', () => {
    expect(mapped.forwards.map(({ listen, target }) => [target.host, listen.host, listen.port])).toEqual([
      ['a.x', '127.64.0.1', 1],
      ['b.x', '127.64.0.2', 1],
      ['a.x', '127.64.0.1', 2],
    ]);
  });

  it('tells it, and of no other name', () => {
    expect(mapped.lookup('b.x')).toEqual({ address: '127.64.0.2' });
    expect(mapped.lookup('x')).toBeUndefined();
    expect(mapped.lookup('c.b.x')).toBeUndefined();
  });

  it('tells whose an address is', () => {
    expect(mapped.reverse('2.0.64.127.in-addr.arpa')).toBe('b.x');
    expect(mapped.reverse('3.0.64.127.in-addr.arpa')).toBeUndefined();
    expect(mapped.reverse('127.64.0.2')).toBeUndefined();
  });

  it('carries the third byte', () => {
    const many = new MappedNames(Array.from({ length: 300 }, (_, i) => parseMap(`n${i}:1`)));
    expect(many.lookup('n299')).toEqual({ address: '127.64.1.44' });
    expect(new Set(many.forwards.map(({ listen }) => listen.host)).size).toBe(300);
  });
});
