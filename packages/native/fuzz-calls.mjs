/**
 * The calls of fuzz.mjs, each compared with what a model makes of it.
 *
 *   node --expose-gc fuzz-calls.mjs addon seconds seed
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { createRequire } from 'node:module';

const TAG_BYTES = 16;
const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-192-gcm': 24, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 };

/** The memory of a clone of a SharedArrayBuffer is that of the original. */
const originals = new WeakMap();
const memoryOf = view => originals.get(view.buffer) ?? view.buffer;

/** Views that a context takes, if they are long enough; some have lost their memory. */
const VIEWS = [
  (_, length) => new Uint8Array(length), // up to 64 bytes are in the heap of V8 at first
  (random, length) => Buffer.from(random.bytes(length)), // from the pool
  (random, length) => random.bytes(length + 20).subarray(random.below(20)),
  (_, length) => new Uint8Array(new SharedArrayBuffer(length)),
  (random, length) => {
    const resizable = new ArrayBuffer(length, { maxByteLength: length + 50 });
    const at = random.below(length + 1);
    const view = random.pick([
      () => new Uint8Array(resizable),
      () => new Uint8Array(resizable, at),
      () => new Uint8Array(resizable, at, random.below(length - at + 1)),
    ])();
    resizable.resize(random.below(length + 51));
    return view;
  },
  (_, length) => {
    const view = new Uint8Array(length);
    structuredClone(view.buffer, { transfer: [view.buffer] });
    return view;
  },
];

const NO_VIEWS = [
  undefined,
  null,
  7,
  'bytes',
  {},
  [1, 2, 3],
  new ArrayBuffer(64),
  new SharedArrayBuffer(64),
  new DataView(new ArrayBuffer(64)),
  new Int8Array(64),
  new Uint8ClampedArray(64),
  new Uint16Array(64),
  new Float64Array(64),
  new BigInt64Array(64),
  new Proxy(new Uint8Array(64), {}),
  Object.create(Uint8Array.prototype),
];

/** No number of bytes, or one that goes beyond every view here. */
const NO_SIZES = [
  ...[-1, -(2 ** 31), 0.5, 15.999, 5e-324, NaN, Infinity, -Infinity],
  ...[2 ** 31 - 1 - TAG_BYTES, 2 ** 31 - TAG_BYTES, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53, 2 ** 64],
  ...[undefined, null, '1', true, 1n, {}, Symbol('1')],
];

function view(random) {
  const length = random.below(random.pick([1, 20, 80, 300, 600]));
  return random.pick(VIEWS)(random, length);
}

/** Compiled code of V8 in Node 20 and 22 answers `view.length` with what it was before the buffer was detached. */
const lengthOf = view => (view.buffer.byteLength === 0 ? 0 : view.length);

/** With what lies around the view. */
function wholeMemory({ buffer }) {
  return buffer.byteLength === 0 ? new Uint8Array(0) : new Uint8Array(buffer);
}

/** Another view of the same memory. */
function alias(random, of) {
  if (lengthOf(of) === 0) return of;
  if (of.buffer instanceof SharedArrayBuffer && random.below(2) === 0) {
    const clone = structuredClone(of.buffer);
    originals.set(clone, memoryOf(of));
    return new Uint8Array(clone);
  }
  return of.subarray(random.below(of.length + 1));
}

const isSize = (value, most) => Number.isInteger(value) && value >= 0 && value <= most;

function overlap(one, oneAt, oneLength, other, otherAt, otherLength) {
  if (memoryOf(one) !== memoryOf(other) || oneLength === 0 || otherLength === 0) return false;
  const [a, b] = [one.byteOffset + oneAt, other.byteOffset + otherAt];
  return a < b + otherLength && b < a + oneLength;
}

function assertSame(actual, expected, what) {
  if (Buffer.compare(actual, expected) !== 0) throw new Error(`${what}: not as it should be`);
}

/** What a context should do, by node:crypto, beside the one that does it. */
class Model {
  closed = false;
  #nonce = Buffer.alloc(12);
  #aead;
  #key;
  #saltBytes;
  #handle;

  constructor(native, random) {
    this.#aead = random.pick(Object.keys(KEY_BYTES));
    this.#key = random.bytes(KEY_BYTES[this.#aead]);
    const salted = random.below(2) === 0;
    this.#saltBytes = salted ? this.#key.length : 0;
    this.#handle = native[salted ? 'createSalted' : 'create'](this.#aead, this.#key);
  }

  /** @returns under what the call is to be counted. */
  call(native, random) {
    const kind = random.below(100);
    if (kind < 45) return this.#operate(native, random, 'seal');
    if (kind < 90) return this.#operate(native, random, 'open');
    if (kind < 96) return this.#setNonce(native, random);
    if (kind < 97) return this.#close(native);
    return this.#misuse(native, random);
  }

  #operate(native, random, direction) {
    const around = this.#saltBytes + TAG_BYTES;
    const [outAround, inAround] = direction === 'seal' ? [around, 0] : [0, around];
    const out = view(random);
    const input = random.below(4) === 0 ? alias(random, out) : view(random);
    const [outLength, inLength] = [lengthOf(out), lengthOf(input)];
    const outAt = random.pick([0, -0, random.below(outLength + 1)]);
    const inAt = random.pick([0, random.below(inLength + 1)]);
    const room = Math.max(0, Math.min(outLength - outAt - outAround, inLength - inAt - inAround));
    const length = random.pick([room, random.below(room + 1), random.below(room + 1), room + random.below(3)]);
    const args = [out, outAt, input, inAt, length];
    if (random.below(5) === 0) {
      const place = random.below(5);
      args[place] = random.pick(place === 0 || place === 2 ? NO_VIEWS : NO_SIZES);
    }
    if (random.below(100) === 0) args.length = random.below(5);

    const good =
      !this.closed &&
      args[0] === out &&
      args[2] === input &&
      args[4] === length &&
      isSize(args[1], outLength - length - outAround) &&
      isSize(args[3], inLength - length - inAround) &&
      !overlap(out, args[1], length + outAround, input, args[3], length + inAround);
    if (good && direction === 'open' && random.below(3) > 0) {
      input.set(this.#sealed(random.bytes(this.#saltBytes), random.bytes(length)), args[3]);
      if (random.below(4) === 0) input[args[3] + random.below(length + around)] ^= 1 << random.below(8);
    }
    let expected; // undefined where a tag does not match
    if (good) {
      const end = args[3] + length + inAround;
      const region = end === 0 ? new Uint8Array(0) : input.subarray(args[3], end); // a detached one has no subarray
      expected =
        direction === 'seal'
          ? this.#sealed(out.subarray(args[1], args[1] + this.#saltBytes), region)
          : this.#opened(region);
    }
    const [outMemory, inMemory] = [wholeMemory(out), wholeMemory(input)];
    const [expectedOut, expectedIn] = [Uint8Array.from(outMemory), Uint8Array.from(inMemory)];
    if (good && length + outAround > 0) {
      expectedOut.set(expected ?? new Uint8Array(length), out.byteOffset + args[1]);
      if (memoryOf(input) === memoryOf(out)) expectedIn.set(expectedOut);
    }

    const result = attempt(() => native[direction](this.#handle, ...args), good);
    assertSame(outMemory, expectedOut, `${direction}: the memory of out`);
    assertSame(inMemory, expectedIn, `${direction}: the memory of input`);
    if (!good) return 'refused';
    if (direction === 'open' && result !== (expected !== undefined)) throw new Error(`open: ${result}`);
    if (expected === undefined) return 'altered';
    this.#countUp();
    return direction === 'seal' ? 'sealed' : 'opened';
  }

  #setNonce(native, random) {
    const overflowing = Uint8Array.from({ length: 12 }, (_, at) => (at < random.below(13) ? 0xff : random.below(256)));
    const nonce = random.pick([overflowing, random.bytes(12), view(random), random.pick(NO_VIEWS)]);
    const good = !this.closed && this.#saltBytes === 0 && isBytes(nonce) && lengthOf(nonce) === 12;
    attempt(() => native.setNonce(this.#handle, nonce), good);
    if (good) this.#nonce.set(nonce);
    return good ? 'others' : 'refused';
  }

  #close(native) {
    native.close(this.#handle);
    this.closed = true;
    return 'others';
  }

  /** A context that is none, and one that cannot be made. */
  #misuse(native, random) {
    const foreign = random.pick([...NO_VIEWS, this]);
    const name = random.pick(['seal', 'open', 'setNonce', 'close']);
    attempt(() => native[name](foreign, new Uint8Array(99), 0, new Uint8Array(99), 0, 9), false);
    const aead = random.pick([
      ...Object.keys(KEY_BYTES),
      'aes-512-gcm',
      'x'.repeat(40),
      'aes-128-gcm\0',
      '',
      1,
      undefined,
    ]);
    const key = random.pick([view(random), random.pick(NO_VIEWS)]);
    const good = isBytes(key) && typeof aead === 'string' && lengthOf(key) === KEY_BYTES[aead];
    attempt(() => native[random.pick(['create', 'createSalted'])](aead, key), good);
    return 'refused';
  }

  /** With the salt before it. */
  #sealed(salt, plain) {
    const cipher = createCipheriv(this.#aead, this.#keyFor(salt), this.#nonce, { authTagLength: TAG_BYTES });
    return Buffer.concat([salt, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  #opened(sealed) {
    const key = this.#keyFor(sealed.subarray(0, this.#saltBytes));
    const decipher = createDecipheriv(this.#aead, key, this.#nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plain = decipher.update(sealed.subarray(this.#saltBytes, -TAG_BYTES));
    try {
      decipher.final();
      return plain;
    } catch {
      return undefined;
    }
  }

  #keyFor(salt) {
    if (this.#saltBytes === 0) return this.#key;
    return Buffer.from(hkdfSync('sha1', this.#key, salt, 'ss-subkey', this.#key.length));
  }

  #countUp() {
    if (this.#saltBytes > 0) return;
    for (let at = 0; at < 12; at++) {
      this.#nonce[at] = (this.#nonce[at] + 1) & 0xff;
      if (this.#nonce[at] !== 0) return;
    }
  }
}

/** Neither a proxy nor an object that only inherits. */
function isBytes(value) {
  return ArrayBuffer.isView(value) && value instanceof Uint8Array;
}

/** Calls, and throws what the addon should not have: an error for what is good, none or no RangeError for what is not. */
function attempt(call, good) {
  let result;
  try {
    result = call();
  } catch (error) {
    if (good || !(error instanceof RangeError)) throw error;
    return undefined;
  }
  if (!good) throw new Error('this should have been refused');
  return result;
}

/** Offsets that no int holds. */
function beyond31Bits(native) {
  const memory = new Uint8Array(2 ** 31 + 2 ** 16);
  const [sealer, opener] = [1, 2].map(() => native.create('aes-256-gcm', new Uint8Array(32)));
  const sealed = new Uint8Array(100 + TAG_BYTES);
  native.seal(sealer, sealed, 0, new Uint8Array(100).fill(1), 0, 100);
  memory.set(sealed, memory.length - sealed.length);
  const openedAt = 2 ** 31 + 7;
  if (!native.open(opener, memory, openedAt, memory, memory.length - sealed.length, 100)) throw new Error('not opened');
  assertSame(memory.subarray(openedAt - 1, openedAt + 101), Uint8Array.of(0, ...Array(100).fill(1), 0), 'beyond 2^31');
  attempt(() => native.seal(sealer, memory, 0, memory, 0, 2 ** 31), false);
  attempt(() => native.open(opener, memory, memory.length - 99, sealed, 0, 100), false);
}

/** xorshift32: what a seed once did it does again. */
function generator(seed) {
  let state = seed;
  const below = limit => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  return {
    below,
    pick: list => list[below(list.length)],
    bytes: length => Uint8Array.from({ length }, () => below(256)),
  };
}

async function fuzz(native, limit, seed) {
  const random = generator(seed);
  beyond31Bits(native);
  let contexts = [];
  const counts = { calls: 0, sealed: 0, opened: 0, altered: 0, refused: 0, others: 0 };
  for (const end = Date.now() + limit * 1000; Date.now() < end; counts.calls++) {
    while (contexts.length < 50) contexts.push(new Model(native, random));
    if (counts.calls % 20_000 === 0) {
      contexts = contexts.slice(-Math.ceil(contexts.length / 2)); // the collector frees the others, closed and open ones
      globalThis.gc();
      await new Promise(setImmediate); // finalizers wait for a turn of the event loop
    }
    const context = random.pick(contexts);
    try {
      counts[context.call(native, random)]++;
    } catch (error) {
      console.error(`seed ${seed}, call ${counts.calls}:`);
      throw error;
    }
    if (context.closed && random.below(5) === 0) contexts.splice(contexts.indexOf(context), 1);
  }
  console.log(`seed ${seed}:`, counts, 'no finding');
}

const [path, seconds, seed] = process.argv.slice(2);
await fuzz(createRequire(import.meta.url)(path), Number(seconds), Number(seed));
