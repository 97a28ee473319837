import { createCipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadAddon } from './addon.ts';

const loaded = loadAddon();

it('is built here', context => {
  if ('addon' in loaded) return;
  if (process.env.PODSOCKS_REQUIRE_NATIVE === '1') throw new Error(`there is no native addon: ${loaded.reason}`);
  context.skip(`SKIPPED: there is no native addon: ${loaded.reason}`);
});

if ('addon' in loaded) {
  const { AeadContext } = loaded.addon;
  const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-192-gcm': 24, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 };

  describe.each(Object.entries(KEY_BYTES))('%s', (aead, keyBytes) => {
    it('seals as node:crypto does, at any nonce', () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 5000 }),
          fc.uint8Array({ minLength: 12, maxLength: 12 }),
          (plain, nonce) => {
            const key = randomBytes(keyBytes);
            const context = new AeadContext(aead, key);
            context.setNonce(nonce);
            const out = new Uint8Array(plain.length + 16);
            context.seal(out, 0, plain, 0, plain.length);
            const cipher = createCipheriv(aead as 'aes-256-gcm', key, nonce, { authTagLength: 16 });
            const expected = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
            expect(expected.equals(out)).toBe(true);
          },
        ),
      );
    });

    it('seals and opens in one context, each direction with the key and the nonce it should have', () => {
      const context = new AeadContext(aead, randomBytes(keyBytes));
      const nonce = new Uint8Array(12);
      const sealed = new Uint8Array(5 + 16);
      const opened = new Uint8Array(5);
      for (let turn = 0; turn < 3; turn++) {
        context.setNonce(nonce);
        context.seal(sealed, 0, Uint8Array.of(1, 2, 3, 4, 5), 0, 5);
        context.setNonce(nonce);
        expect(context.open(opened, 0, sealed, 0, 5)).toBe(true);
        expect(opened).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
      }
    });

    it('does nothing after it was closed', () => {
      const context = new AeadContext(aead, new Uint8Array(keyBytes));
      context.close();
      context.close();
      expect(() => context.seal(new Uint8Array(16), 0, new Uint8Array(0), 0, 0)).toThrow('closed');
      expect(() => context.open(new Uint8Array(0), 0, new Uint8Array(16), 0, 0)).toThrow('closed');
      expect(() => context.setNonce(new Uint8Array(12))).toThrow('closed');
    });
  });

  const strange = fc.oneof(
    fc.constantFrom(
      undefined,
      null,
      Number.NaN,
      -1,
      1.5,
      2 ** 31,
      2 ** 53,
      Infinity,
      -Infinity,
      '1',
      true,
      5n,
      Symbol('x'),
    ),
    fc.integer({ min: -5, max: 70 }),
    fc.constantFrom(
      new Uint8Array(0),
      new Uint8Array(40),
      new Uint16Array(40),
      new ArrayBuffer(40),
      Buffer.alloc(40),
      {},
    ),
  );

  it('throws RangeError for whatever it is called with, or works, and writes nowhere else', () => {
    const context = new AeadContext('aes-256-gcm', new Uint8Array(32));
    fc.assert(
      fc.property(fc.constantFrom('seal', 'open', 'setNonce'), fc.array(strange, { maxLength: 6 }), (method, args) => {
        try {
          (context[method as 'seal'] as (...any: unknown[]) => unknown)(...args);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('checks every offset and length against both buffers', () => {
    const SIZE = 48;
    fc.assert(
      fc.property(fc.boolean(), fc.nat(60), fc.nat(60), fc.nat(60), (seal, outAt, inAt, length) => {
        const context = new AeadContext('chacha20-poly1305', new Uint8Array(32));
        const out = new Uint8Array(SIZE);
        const fits = outAt + length + (seal ? 16 : 0) <= SIZE && inAt + length + (seal ? 0 : 16) <= SIZE;
        const call = () => context[seal ? 'seal' : 'open'](out, outAt, new Uint8Array(SIZE), inAt, length);
        if (fits) expect(call()).toBe(seal ? undefined : false);
        else expect(call).toThrow(RangeError);
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses buffers that overlap', () => {
    const memory = new Uint8Array(100);
    const context = new AeadContext('aes-256-gcm', new Uint8Array(32));
    expect(() => context.seal(memory, 10, memory, 20, 8)).toThrow('overlap');
    expect(() => context.seal(memory, 0, new Uint8Array(memory.buffer, 10), 0, 8)).toThrow('overlap');
    context.seal(memory, 0, memory, 24, 8);
  });

  it.each([
    [['aes-512-gcm', new Uint8Array(32)]],
    [['aes-256-gcm', new Uint8Array(16)]],
    [['aes-256-gcm', 'k'.repeat(32)]],
    [['aes-256-gcm']],
    [[7, new Uint8Array(32)]],
    [[]],
  ])('cannot be made of %j', args => {
    expect(() => Reflect.construct(AeadContext, args)).toThrow(RangeError);
  });

  it('is of no use without its own object', () => {
    const { seal } = AeadContext.prototype;
    expect(() => seal.call({} as never, new Uint8Array(16), 0, new Uint8Array(0), 0, 0)).toThrow();
    expect(() => Reflect.apply(AeadContext as never, undefined, ['aes-256-gcm', new Uint8Array(32)])).toThrow();
  });
}
