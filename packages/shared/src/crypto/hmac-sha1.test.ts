import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hmacSha1 } from './hmac-sha1.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

it('gives the digests of RFC 2202', () => {
  expect(hex(hmacSha1(new Uint8Array(20).fill(0x0b), Buffer.from('Hi There')))).toBe(
    'b617318655057264e28bc0b6fb378c8ef146be00',
  );
  expect(hex(hmacSha1(Buffer.from('Jefe'), Buffer.from('what do ya want '), Buffer.from('for nothing?')))).toBe(
    'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79',
  );
});

it('gives what node:crypto gives, in parts or whole', () => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(bytes, bytes, fc.nat(64), (key, message, cut) => {
      const expected = createHmac('sha1', key).update(message).digest('hex');
      expect(hex(hmacSha1(key, message))).toBe(expected);
      expect(hex(hmacSha1(key, message.subarray(0, cut), message.subarray(cut)))).toBe(expected);
    }),
  );
});
