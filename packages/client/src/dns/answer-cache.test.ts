import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it } from 'vitest';
import { AnswerCache } from './answer-cache.ts';
import type { RawAnswer } from './raw-answer.ts';

const answer = (bytes = 100, ttl = 60): RawAnswer => ({
  message: Buffer.alloc(bytes),
  rcode: 0,
  ttlsAt: new Uint16Array(),
  ends: new Uint16Array(),
  ttl,
});

describe('answers', () => {
  it('are bounded in number and in bytes; the first make room', async () => {
    const many = new AnswerCache(() => 0);
    for (let i = 0; i < 5000; i++) await many.answer(`n${i}`, async () => answer(0));
    expect(many.size).toBe(4096);
    expect([many.known('n0'), many.known('n4999')]).toEqual([undefined, { age: 0, answer: answer(0) }]);
    const large = new AnswerCache(() => 0);
    for (let i = 0; i < 100; i++) await large.answer(`n${i}`, async () => answer(65_535));
    expect(large.size).toBe(63);
  });

  it('that fail are failures for a second, unless it is a fault of ours', async () => {
    let time = 0;
    const cache = new AnswerCache(() => time);
    const failed = new PodsocksError('ERR_DIAL', 'no');
    await expect(cache.answer('a', () => Promise.reject(failed))).rejects.toBe(failed);
    expect(() => cache.known('a')).toThrow(failed);
    time = 1000;
    expect(cache.known('a')).toBeUndefined();
    await expect(cache.answer('b', () => Promise.reject(new TypeError('x')))).rejects.toThrow(TypeError);
    expect(cache.known('b')).toBeUndefined();
    expect(cache.asking).toBe(0);
  });

  it('are asked for once at a time, and a failure is for all', async () => {
    const cache = new AnswerCache(() => 0);
    let fail: (error: Error) => void = () => {};
    const pending = new Promise<RawAnswer>((_, reject) => {
      fail = reject;
    });
    const asked = [cache.answer('a', () => pending), cache.answer('a', () => Promise.reject(new Error('twice')))];
    expect([cache.asking, cache.isAsked('a')]).toEqual([1, true]);
    fail(new PodsocksError('ERR_DIAL', 'no'));
    for (const each of asked) await expect(each).rejects.toThrow('no');
  });
});
