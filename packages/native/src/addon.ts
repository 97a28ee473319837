import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The contracts of the two are those of the same name in the cipher core. Misuse throws RangeError. */
export interface Addon {
  readonly AeadContext: new (aead: string, key: Uint8Array) => NativeContext;
  readonly SaltedAead: new (aead: string, masterKey: Uint8Array) => NativeSaltedAead;
}

export interface NativeContext {
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void;
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean;
  setNonce(nonce: Uint8Array): void;
  close(): void;
}

export type NativeSaltedAead = Omit<NativeContext, 'setNonce'>;

/** Usable for `aeads`. One that fails its self-test, as ChaCha20 does where OpenSSL is in FIPS mode, is not among them. */
export interface TestedAddon {
  readonly addon: Addon;
  readonly aeads: ReadonlySet<string>;
}

/** What `create` and `createSalted` of the compiled module return and its other functions take. */
declare const handle: unique symbol;
type Handle = typeof handle;

/** As the compiled module has it. */
interface CompiledModule {
  create(aead: string, key: Uint8Array): Handle;
  createSalted(aead: string, masterKey: Uint8Array): Handle;
  seal(context: Handle, ...operation: Parameters<NativeContext['seal']>): void;
  open(context: Handle, ...operation: Parameters<NativeContext['open']>): boolean;
  setNonce(context: Handle, nonce: Uint8Array): void;
  close(context: Handle): void;
}

/** From `src` and from `dist` alike. */
const BUILD = new URL('../build/', import.meta.url);

/**
 * Twice sixteen bytes of zero under a key of zero. `sealed`: at the nonces 0 and 1; the first of AES-256 is test case 14 of the
 * GCM specification (McGrew and Viega). `salted`: under salts of ones and of twos, which are left out here. All but that test
 * case was worked out with another implementation.
 */
const KNOWN_ANSWERS: Readonly<Record<string, { keyBytes: number; sealed: string; salted: string }>> = {
  'aes-128-gcm': {
    keyBytes: 16,
    sealed:
      '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf0a2ddce64b3d6c0dfa353e4326376158018225660e9cf611e841ed4c9ce772fd',
    salted:
      '52f4bcf36712f12bc5579782b3e9bf46dfb1efe93db3808a4ee6d627f61f67a7ec491783a99995ecbd694aa347c8ecadf1e3cb51f6fb29975e102f7e0e23a015',
  },
  'aes-192-gcm': {
    keyBytes: 24,
    sealed:
      '98e7247c07f0fe411c267e4384b0f6002ff58d80033927ab8ef4d4587514f0fbd530daf5e7b8c31d0b5cb72b6c091c995703df4ff41dcd2af403c0c49e1cd5fe',
    salted:
      '7ee038523b71b740f84213c1d30c1c729e27dc03c3f47976ea99361f314dd27ebc0960e9867cf15273de029e3a9dc35a58602932d8a4c6aa60b905a4cb337131',
  },
  'aes-256-gcm': {
    keyBytes: 32,
    sealed:
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919a688a33a6f63c32701ec8d6356366defadf88c80c4fda509a77c7a5ca9df477d',
    salted:
      '46916ab14f1175753f1b089c2cd351deb279a7683d420a293837eae31bf1e472be479669ed44310209a287efd2b09ee7cfe7d460e745f0823cf9e1f71eb9eff1',
  },
  'chacha20-poly1305': {
    keyBytes: 32,
    sealed:
      '9f07e7be5551387a98ba977c732d080dc34a88047320f52aa2c6683ef8084d2f46f0f6efee15c8f1b198cb49d92b9908a61e5defe840db8da91774d33c5aac06',
    salted:
      'bd7748d5fc71ec3e5b2c993c2594110f79824cec0cc521aea1ef20448a4b438f9cd89cd836e0bc2c057cc94112e2d68b21341aa4440b978a81ecb858394944c4',
  },
};

/** Loads the addon, if there is one and it computes what it should; else says why not, in words for a log. */
export function loadAddon(): TestedAddon | { reason: string } {
  try {
    return tested(addonOf(createRequire(import.meta.url)(fileURLToPath(new URL('aead.node', BUILD)))));
  } catch (error) {
    const notBuilt = whyNotBuilt();
    if (notBuilt !== undefined) return { reason: `not built: ${notBuilt}` };
    return { reason: `cannot be loaded: ${(error as Error).message.split('\n')[0]}; run: npm run build:native` };
  }
}

/**
 * The classes over the module's functions. A context is a private field: V8 checks `this` by it, and the module reads it in
 * a tenth of the time that it takes to unwrap an object of a class of its own, which was a fifth of sealing two bytes.
 */
function addonOf({ create, createSalted, seal, open, setNonce, close }: CompiledModule): Addon {
  return {
    AeadContext: class implements NativeContext {
      readonly #handle: Handle;

      constructor(aead: string, key: Uint8Array) {
        this.#handle = create(aead, key);
      }

      seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
        seal(this.#handle, out, outAt, input, inputAt, length);
      }

      open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
        return open(this.#handle, out, outAt, input, inputAt, length);
      }

      setNonce(nonce: Uint8Array): void {
        setNonce(this.#handle, nonce);
      }

      close(): void {
        close(this.#handle);
      }
    },
    SaltedAead: class implements NativeSaltedAead {
      readonly #handle: Handle;

      constructor(aead: string, masterKey: Uint8Array) {
        this.#handle = createSalted(aead, masterKey);
      }

      seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
        seal(this.#handle, out, outAt, input, inputAt, length);
      }

      open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
        return open(this.#handle, out, outAt, input, inputAt, length);
      }

      close(): void {
        close(this.#handle);
      }
    },
  };
}

/** The addon with the AEADs that pass their self-test. */
export function tested(addon: Addon): TestedAddon | { reason: string } {
  const aeads = new Set(Object.keys(KNOWN_ANSWERS).filter(aead => isRight(addon, aead)));
  return aeads.size > 0 ? { addon, aeads } : { reason: 'refused: it failed its self-tests; run: npm run build:native' };
}

/** What the build wrote down. */
function whyNotBuilt(): string | undefined {
  try {
    return readFileSync(new URL('reason.txt', BUILD), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function isRight({ AeadContext, SaltedAead }: Addon, aead: string): boolean {
  const { keyBytes, sealed, salted } = KNOWN_ANSWERS[aead]!;
  return gives(AeadContext, aead, keyBytes, 0, sealed) && gives(SaltedAead, aead, keyBytes, keyBytes, salted);
}

/** Two messages, so that nonce or key is seen to change; a wrong tag between them, so that it is seen to be refused. */
function gives(
  Kind: new (aead: string, key: Uint8Array) => NativeSaltedAead,
  aead: string,
  keyBytes: number,
  saltBytes: number,
  sealed: string,
): boolean {
  const plain = new Uint8Array(16);
  const messages = [1, 2].map(salt => new Uint8Array(saltBytes + 16 + 16).fill(salt, 0, saltBytes));
  const opened = new Uint8Array(16);
  try {
    const sealer = new Kind(aead, new Uint8Array(keyBytes));
    const opener = new Kind(aead, new Uint8Array(keyBytes));
    for (const message of messages) sealer.seal(message, 0, plain, 0, plain.length);
    const altered = Uint8Array.from(messages[0]!);
    altered[altered.length - 1]! ^= 1;
    const right =
      Buffer.concat(messages.map(message => message.subarray(saltBytes))).toString('hex') === sealed &&
      !opener.open(opened, 0, altered, 0, plain.length) &&
      messages.every(
        message => opener.open(opened.fill(1), 0, message, 0, plain.length) && opened.every(byte => byte === 0),
      );
    sealer.close();
    opener.close();
    return right;
  } catch {
    return false; // OpenSSL refuses
  }
}
