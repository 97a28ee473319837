import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Addon, loadAddon, type NativeContext, type NativeSaltedAead, tested } from './addon.ts';

const loaded = loadAddon();

it('is built here', context => {
  if ('addon' in loaded) return;
  if (process.env.PODSOCKS_REQUIRE_NATIVE === '1') throw new Error(`there is no native addon: ${loaded.reason}`);
  context.skip(`SKIPPED: there is no native addon: ${loaded.reason}`);
});

if ('addon' in loaded) {
  const { AeadContext, SaltedAead } = loaded.addon;
  const KINDS = { AeadContext, SaltedAead };
  const MODULE = fileURLToPath(new URL('../build/aead.node', import.meta.url));
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

    it('seals salted messages as node:crypto does under the subkey of HKDF, and leaves the salts', () => {
      const key = randomBytes(keyBytes);
      const salted = new SaltedAead(aead, key);
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 5000 }),
          fc.uint8Array({ minLength: keyBytes, maxLength: keyBytes }),
          (plain, salt) => {
            const out = new Uint8Array(keyBytes + plain.length + 16);
            out.set(salt);
            salted.seal(out, 0, plain, 0, plain.length);
            const subkey = Buffer.from(hkdfSync('sha1', key, salt, 'ss-subkey', keyBytes));
            const cipher = createCipheriv(aead as 'aes-256-gcm', subkey, new Uint8Array(12), { authTagLength: 16 });
            const expected = Buffer.concat([salt, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
            expect(expected.equals(out)).toBe(true);
          },
        ),
      );
    });

    it('opens salted messages in any order and again, between others that it seals', () => {
      const salted = new SaltedAead(aead, randomBytes(keyBytes));
      const messages = [1, 2, 3].map(fill => {
        const message = new Uint8Array(keyBytes + 5 + 16).fill(fill);
        salted.seal(message, 0, new Uint8Array(5).fill(fill), 0, 5);
        return message;
      });
      const opened = new Uint8Array(5);
      for (const index of [2, 0, 1, 1]) {
        expect(salted.open(opened, 0, messages[index]!, 0, 5)).toBe(true);
        expect(opened).toEqual(new Uint8Array(5).fill(index + 1));
        messages[index]![0]! ^= 1; // another salt
        expect(salted.open(opened, 0, messages[index]!, 0, 5)).toBe(false);
        expect(opened).toEqual(new Uint8Array(5));
        messages[index]![0]! ^= 1;
        salted.seal(new Uint8Array(keyBytes + 5 + 16), 0, opened, 0, 5);
      }
    });

    it('does nothing after it was closed', () => {
      for (const Kind of Object.values(KINDS)) {
        const context = new Kind(aead, new Uint8Array(keyBytes));
        context.close();
        context.close();
        expect(() => context.seal(new Uint8Array(99), 0, new Uint8Array(0), 0, 0)).toThrow('closed');
        expect(() => context.open(new Uint8Array(0), 0, new Uint8Array(99), 0, 0)).toThrow('closed');
        if (context instanceof AeadContext) expect(() => context.setNonce(new Uint8Array(12))).toThrow('closed');
      }
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

  it.each(Object.entries(KINDS))('%s throws RangeError for whatever it is called with, or works', (_, Kind) => {
    const context = new Kind('aes-256-gcm', new Uint8Array(32));
    const methods = fc.constantFrom('seal', 'open', ...(context instanceof AeadContext ? ['setNonce'] : []));
    fc.assert(
      fc.property(methods, fc.array(strange, { maxLength: 6 }), (method, args) => {
        try {
          (context[method as 'seal'] as (...any: unknown[]) => unknown)(...args);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['AeadContext', AeadContext, 16, 48],
    ['SaltedAead', SaltedAead, 32 + 16, 80],
  ] as const)('%s checks every offset and length against both buffers', (_, Kind, around, SIZE) => {
    fc.assert(
      fc.property(fc.boolean(), fc.nat(90), fc.nat(90), fc.nat(60), (seal, outAt, inAt, length) => {
        const context = new Kind('chacha20-poly1305', new Uint8Array(32));
        const out = new Uint8Array(SIZE);
        const fits = outAt + length + (seal ? around : 0) <= SIZE && inAt + length + (seal ? 0 : around) <= SIZE;
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
    expect(() => context.seal(memory, 10, memory, 10, 8)).toThrow('overlap');
    context.seal(memory, 0, memory, 24, 8);
  });

  it('counts the salt of a message when it refuses buffers that overlap', () => {
    const memory = new Uint8Array(100);
    const salted = new SaltedAead('aes-128-gcm', new Uint8Array(16));
    expect(() => salted.seal(memory, 10, memory, 17, 8)).toThrow('overlap');
    expect(() => salted.seal(memory, 10, memory, 49, 8)).toThrow('overlap');
    expect(() => salted.open(memory, 17, memory, 10, 8)).toThrow('overlap');
    salted.seal(memory, 10, memory, 50, 8);
    expect(salted.open(memory, 2, memory, 10, 8)).toBe(true);
  });

  it('finds no overlap with a region of no bytes', () => {
    const memory = new Uint8Array(32);
    const sealer = new AeadContext('aes-256-gcm', new Uint8Array(32));
    sealer.seal(memory, 8, memory, 8, 0);
    for (const at of [8, 15, 24]) {
      const opener = new AeadContext('aes-256-gcm', new Uint8Array(32));
      expect(opener.open(memory, at, memory, 8, 0)).toBe(true);
    }
  });

  it('counts no bytes in a view whose memory is gone', () => {
    const context = new AeadContext('aes-256-gcm', new Uint8Array(32));
    const detached = new Uint8Array(64);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const resizable = Reflect.construct(ArrayBuffer, [64, { maxByteLength: 128 }]) as { resize(size: number): void };
    const beyond = Reflect.construct(Uint8Array, [resizable, 32, 32]) as Uint8Array;
    resizable.resize(40);
    for (const gone of [detached, beyond]) {
      expect(() => context.seal(gone, 0, new Uint8Array(0), 0, 0)).toThrow('beyond out');
      expect(() => context.seal(new Uint8Array(64), 0, gone, 0, 1)).toThrow('beyond input');
      expect(() => context.setNonce(gone)).toThrow('12 bytes');
    }
  });

  it.each([
    [['aes-512-gcm', new Uint8Array(32)]],
    [['aes-256-gcm', new Uint8Array(16)]],
    [['aes-256-gcm', 'k'.repeat(32)]],
    [['aes-256-gcm']],
    [[7, new Uint8Array(32)]],
    [[]],
  ])('cannot be made of %j', args => {
    for (const Kind of Object.values(KINDS)) expect(() => Reflect.construct(Kind, args)).toThrow(RangeError);
  });

  it('is of no use without its own object', () => {
    const context = new AeadContext('aes-256-gcm', new Uint8Array(32));
    const { seal, close } = AeadContext.prototype as NativeContext;
    for (const foreign of [undefined, {}, Object.create(AeadContext.prototype), Object.create(context), new Map()]) {
      expect(() => seal.call(foreign, new Uint8Array(16), 0, new Uint8Array(0), 0, 0)).toThrow(TypeError);
      expect(() => close.call(foreign)).toThrow(TypeError);
    }
    expect(() => Reflect.apply(AeadContext as never, undefined, ['aes-256-gcm', new Uint8Array(32)])).toThrow();

    const compiled = createRequire(import.meta.url)(MODULE) as Record<string, (...any: unknown[]) => unknown>;
    const salted = compiled.createSalted!('aes-256-gcm', new Uint8Array(32));
    expect(() => compiled.setNonce!(salted, new Uint8Array(12))).toThrow('zero');
    for (const name of ['seal', 'open', 'setNonce', 'close']) {
      for (const foreign of [undefined, {}, context, 1]) {
        expect(() => compiled[name]!(foreign, new Uint8Array(16), 0, new Uint8Array(0), 0, 0)).toThrow(
          'no AeadContext',
        );
      }
      expect(compiled[name]).toThrow(RangeError);
    }
  });

  it('works in several threads at a time, and outlives a thread that ends with contexts open', async () => {
    const MESSAGES = 3000;
    const body = `
      const { createHash } = require('node:crypto');
      const { parentPort, workerData } = require('node:worker_threads');
      const { create, seal } = require(workerData.module);
      const context = create('aes-256-gcm', new Uint8Array(32));
      const out = new Uint8Array(100 + 16);
      const hash = createHash('sha256');
      for (let message = 0; message < workerData.messages; message++) {
        seal(context, out, 0, new Uint8Array(100).fill(message), 0, 100);
        hash.update(out);
      }
      parentPort.postMessage(hash.digest('hex'));
      setInterval(() => {}, 1000);
    `;
    const workers = [1, 2].map(
      () => new Worker(body, { eval: true, workerData: { module: MODULE, messages: MESSAGES } }),
    );
    const answers = Promise.all(workers.map(worker => once(worker, 'message')));
    await Promise.all(workers.map(worker => once(worker, 'online')));

    const context = new AeadContext('aes-256-gcm', new Uint8Array(32));
    const out = new Uint8Array(100 + 16);
    const hash = createHash('sha256');
    for (let message = 0; message < MESSAGES; message++) {
      context.seal(out, 0, new Uint8Array(100).fill(message), 0, 100);
      hash.update(out);
    }
    const digest = hash.digest('hex');
    expect(await answers).toEqual([[digest], [digest]]);

    await Promise.all(workers.map(worker => worker.terminate()));
    const opener = new AeadContext('aes-256-gcm', new Uint8Array(32));
    opener.setNonce(Uint8Array.of(MESSAGES & 0xff, MESSAGES >> 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    context.seal(out, 0, new Uint8Array(100), 0, 100);
    expect(opener.open(new Uint8Array(100), 0, out, 0, 100)).toBe(true);
  });

  describe('the self-test', () => {
    /** The addon with one method, of one of the two kinds, that does something else for some AEADs. */
    function altered(kind: keyof Addon, aeads: readonly string[], method: Partial<NativeSaltedAead>): Addon {
      const Kind = KINDS[kind] as Addon['AeadContext'];
      const Altered = class extends Kind {
        constructor(aead: string, key: Uint8Array) {
          super(aead, key);
          if (aeads.includes(aead)) Object.assign(this, method);
        }
      };
      return { ...KINDS, [kind]: Altered };
    }

    function refuse(): never {
      throw new RangeError('OpenSSL refuses');
    }

    describe.each<keyof Addon>(['AeadContext', 'SaltedAead'])('of %s', kind => {
      it.each<[string, Partial<NativeSaltedAead>]>([
        ['is refused by OpenSSL', { seal: refuse }],
        ['is refused by OpenSSL for one direction', { open: refuse }],
        ['seals to something else', { seal: out => void out.fill(0) }],
        ['takes any tag', { open: out => out.fill(0) === out }],
        ['opens nothing', { open: () => false }],
      ])('leaves out the one AEAD that %s', (_what, method) => {
        const outcome = tested(altered(kind, ['chacha20-poly1305'], method));
        expect(outcome).toMatchObject({ aeads: new Set(['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm']) });
      });

      it('refuses an addon that passes none', () => {
        const outcome = tested(altered(kind, Object.keys(KEY_BYTES), { seal: refuse }));
        expect(outcome).toEqual({ reason: expect.stringContaining('self-tests') });
      });
    });
  });
}
