import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import type { AeadBackend } from './aead.ts';
import { nativeAbsence, nativeBackend } from './aead-native.ts';
import { nobleBackend } from './aead-noble.ts';
import { nodeBackend } from './aead-node.ts';
import { BACKENDS, backendFor, describeBackend } from './backends.ts';
import { sip004Subkey } from './key-derivation.ts';
import { type Aead, METHODS, methodNamed, TAG_BYTES } from './methods.ts';
import { incrementNonce } from './nonce.ts';

const AEADS = [...new Map(METHODS.map(method => [method.aead, method])).values()];
const GUARD = 0xee;

function sealAt(backend: AeadBackend, aead: Aead, key: Uint8Array, plain: Uint8Array, outAt: number, inAt: number) {
  const input = new Uint8Array(inAt + plain.length + 3).fill(GUARD);
  input.set(plain, inAt);
  const out = new Uint8Array(outAt + plain.length + TAG_BYTES + 3).fill(GUARD);
  backend.create(aead, key).seal(out, outAt, input, inAt, plain.length);
  return out;
}

describe.each(AEADS)('$aead', ({ aead, keyBytes }) => {
  const backends = BACKENDS.filter(backend => backend.supports(aead));

  it('gives the same bytes under every backend, only where told to, and opens them again', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: keyBytes, maxLength: keyBytes }),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(40),
        fc.nat(40),
        (key, plain, outAt, inAt) => {
          const [first, ...others] = backends.map(backend => sealAt(backend, aead, key, plain, outAt, inAt));
          for (const other of others) expect(other).toEqual(first);
          const end = outAt + plain.length + TAG_BYTES;
          expect(first!.subarray(0, outAt).every(byte => byte === GUARD)).toBe(true);
          expect(first!.subarray(end).every(byte => byte === GUARD)).toBe(true);
          for (const backend of backends) {
            const opened = new Uint8Array(inAt + plain.length + 3).fill(GUARD);
            expect(backend.create(aead, key).open(opened, inAt, first!, outAt, plain.length)).toBe(true);
            expect(opened.subarray(inAt, inAt + plain.length)).toEqual(plain);
            expect(opened.subarray(0, inAt).every(byte => byte === GUARD)).toBe(true);
            expect(opened.subarray(inAt + plain.length).every(byte => byte === GUARD)).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([16_384, 16_385, 65_535])('does so for %i bytes as well', length => {
    const key = new Uint8Array(keyBytes).fill(3);
    const plain = Uint8Array.from({ length }, (_, index) => index ^ (index >> 8));
    const [first, ...others] = backends.map(backend => sealAt(backend, aead, key, plain, 1, 2));
    for (const other of others) expect(Buffer.compare(other, first!)).toBe(0);
    for (const backend of backends) {
      const opened = new Uint8Array(length);
      expect(backend.create(aead, key).open(opened, 0, first!, 1, length)).toBe(true);
      expect(Buffer.compare(opened, plain)).toBe(0);
    }
  });

  it.each(backends)('counts the nonce up after success only, under $name', backend => {
    const key = new Uint8Array(keyBytes).fill(7);
    const plain = Uint8Array.of(1, 2, 3);
    const sealer = backend.create(aead, key);
    const sealed = [0, 1, 2].map(() => {
      const out = new Uint8Array(plain.length + TAG_BYTES);
      sealer.seal(out, 0, plain, 0, plain.length);
      return out;
    });
    expect(sealed[0]).not.toEqual(sealed[1]);
    const opener = backend.create(aead, key);
    const opened = new Uint8Array(plain.length);
    expect(opener.open(opened, 0, sealed[1]!, 0, plain.length)).toBe(false); // too early
    for (const packet of sealed) expect(opener.open(opened, 0, packet, 0, plain.length)).toBe(true);
    expect(opened).toEqual(plain);
  });

  it.each(backends)('refuses every flipped bit, under $name', backend => {
    const key = new Uint8Array(keyBytes).fill(9);
    const plain = Uint8Array.of(1, 2, 3, 4);
    const sealed = sealAt(backend, aead, key, plain, 0, 0).subarray(0, plain.length + TAG_BYTES);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Uint8Array.from(sealed);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(backend.create(aead, key).open(new Uint8Array(4), 0, altered, 0, 4)).toBe(false);
    }
  });
});

/** A salted message that stands inside a buffer, as if it were one that is used again. */
function sealSalted(backend: AeadBackend, aead: Aead, key: Uint8Array, salt: Uint8Array, plain: Uint8Array) {
  const input = Uint8Array.of(GUARD, GUARD, ...plain, GUARD);
  const out = new Uint8Array(3 + salt.length + plain.length + TAG_BYTES + 3).fill(GUARD);
  out.set(salt, 3);
  backend.createSalted(aead, key).seal(out, 3, input, 2, plain.length);
  return out;
}

describe.each(AEADS)('salted messages of $aead', ({ aead, keyBytes }) => {
  const backends = BACKENDS.filter(backend => backend.supports(aead));
  const secret = fc.uint8Array({ minLength: keyBytes, maxLength: keyBytes });

  it('are, under every backend, the salt and what its subkey makes of the rest', () => {
    fc.assert(
      fc.property(secret, secret, fc.uint8Array({ maxLength: 300 }), (key, salt, plain) => {
        const expected = new Uint8Array(3 + keyBytes + plain.length + TAG_BYTES + 3).fill(GUARD);
        expected.set(salt, 3);
        const subkey = sip004Subkey(key, salt);
        nobleBackend.create(aead, subkey).seal(expected, 3 + keyBytes, plain, 0, plain.length);
        for (const backend of backends) expect(sealSalted(backend, aead, key, salt, plain)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it.each(backends)('are opened in any order, and again, with a key that is a copy, under $name', backend => {
    const key = new Uint8Array(keyBytes).fill(7);
    const plain = Uint8Array.of(1, 2, 3);
    const messages = [1, 2, 3].map(fill =>
      sealSalted(backend, aead, key, new Uint8Array(keyBytes).fill(fill), plain.subarray(0, fill)),
    );
    const opener = backend.createSalted(aead, key);
    key.fill(0);
    for (const index of [2, 0, 1, 0, 0]) {
      const opened = new Uint8Array(1 + index + 1 + 1).fill(GUARD);
      expect(opener.open(opened, 1, messages[index]!, 3, index + 1)).toBe(true);
      expect(opened).toEqual(Uint8Array.of(GUARD, ...plain.subarray(0, index + 1), GUARD));
    }
    opener.close();
  });

  it.each(backends)('are refused with any bit flipped, those of the salt too, under $name', backend => {
    const key = new Uint8Array(keyBytes).fill(9);
    const sealed = sealSalted(backend, aead, key, new Uint8Array(keyBytes).fill(1), Uint8Array.of(1, 2, 3, 4));
    const opener = backend.createSalted(aead, key);
    for (let bit = 3 * 8; bit < (sealed.length - 3) * 8; bit++) {
      const altered = Uint8Array.from(sealed);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(opener.open(new Uint8Array(4), 0, altered, 3, 4)).toBe(false);
    }
    expect(opener.open(new Uint8Array(4), 0, sealed, 3, 4)).toBe(true);
  });
});

describe('the choice of a backend', () => {
  it('is the fastest that can do the method', () => {
    const fastest = nativeAbsence() === undefined ? nativeBackend : nodeBackend;
    expect(backendFor(methodNamed('aes-256-gcm'), 'auto')).toBe(fastest);
    expect(describeBackend(fastest, 'auto')).toMatch(
      nativeAbsence() === undefined ? /^native$/ : /^node \(native addon /,
    );
    expect(backendFor(methodNamed('xchacha20-ietf-poly1305'), 'auto')).toBe(nobleBackend);
    expect(backendFor(methodNamed('aes-256-gcm'), 'noble')).toBe(nobleBackend);
  });

  it('fails in words when the one asked for cannot', () => {
    expect(() => backendFor(methodNamed('xchacha20-ietf-poly1305'), 'node')).toThrow(
      new PodsocksError(
        'ERR_CONFIG',
        'the crypto backend "node" has no xchacha20-poly1305, which xchacha20-ietf-poly1305 needs; use --crypto-backend auto',
      ),
    );
  });
});

describe('an addon that cannot do one AEAD here', () => {
  afterEach(() => {
    vi.doUnmock('@podsocks/native/addon');
    vi.resetModules();
  });

  it('does the others', async () => {
    vi.resetModules();
    vi.doMock('@podsocks/native/addon', () => ({
      loadAddon: () => ({ addon: {}, aeads: new Set(['aes-128-gcm', 'aes-256-gcm']) }),
    }));
    const { backendFor } = await import('./backends.ts');
    expect(backendFor(methodNamed('aes-256-gcm'), 'auto').name).toBe('native');
    expect(backendFor(methodNamed('chacha20-ietf-poly1305'), 'auto').name).toBe('node');
    expect(() => backendFor(methodNamed('chacha20-ietf-poly1305'), 'native')).toThrow(
      'the crypto backend "native" has no chacha20-poly1305',
    );
  });
});

describe('the nonce', () => {
  it('is a little-endian counter with carry', () => {
    const nonce = Uint8Array.of(0xff, 0xff, 0, 0);
    incrementNonce(nonce);
    expect(nonce).toEqual(Uint8Array.of(0, 0, 1, 0));
  });
});
