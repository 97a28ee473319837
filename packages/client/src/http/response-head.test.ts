import { describe, expect, it } from 'vitest';
import { encodeHead, reasonOf } from './response-head.ts';

describe('a reason phrase', () => {
  it.each(['', 'OK', 'F\u00fcr\tdich', '~\u0080\u00ff'])('goes on: %j', reason => {
    expect(reasonOf(299, reason)).toBe(reason);
  });

  it.each(['O\0K', 'O\rK', 'O\nK', 'O\u0001K', 'O\u007fK', 'O\u0100K', 'OK\n', 'OK\r\nX: y'])(
    'does not: %j',
    reason => {
      expect(reasonOf(200, reason)).toBe('OK');
      expect(reasonOf(299, reason)).toBe('');
      expect(encodeHead(103, reason, []).toString()).toBe('HTTP/1.1 103 Early Hints\r\n\r\n');
    },
  );
});

describe('a head', () => {
  it('has its fields, a byte for each character', () => {
    expect(encodeHead(103, 'x', ['A', 'b', 'a', '\u00ff']).toString('latin1')).toBe(
      'HTTP/1.1 103 x\r\nA: b\r\na: \u00ff\r\n\r\n',
    );
  });

  it.each([
    ['X', 'a\r\nY: b'],
    ['X', 'a\nb'],
    ['X', 'a\0'],
    ['X', '\u0100'],
    ['X: y\r\nZ', 'a'],
    ['', 'a'],
    ['X ', 'a'],
  ])('has no field that could be taken for another: %j %j', (name, value) => {
    expect(() => encodeHead(103, 'x', [name, value])).toThrow(TypeError);
  });
});
