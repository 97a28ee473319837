import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The contract of a context is AeadContext of the cipher core. Misuse throws RangeError. */
export interface Addon {
  readonly AeadContext: new (aead: string, key: Uint8Array) => NativeContext;
}

export interface NativeContext {
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void;
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean;
  setNonce(nonce: Uint8Array): void;
  close(): void;
}

/** Usable for `aeads`. One that fails its self-test, as ChaCha20 does where OpenSSL is in FIPS mode, is not among them. */
export interface TestedAddon {
  readonly addon: Addon;
  readonly aeads: ReadonlySet<string>;
}

/** What `create` of the compiled module returns and its other functions take. */
declare const handle: unique symbol;
type Handle = typeof handle;

/** As the compiled module has it. */
interface CompiledModule {
  create(aead: string, key: Uint8Array): Handle;
  seal(context: Handle, ...operation: Parameters<NativeContext['seal']>): void;
  open(context: Handle, ...operation: Parameters<NativeContext['open']>): boolean;
  setNonce(context: Handle, nonce: Uint8Array): void;
  close(context: Handle): void;
}

/** From `src` and from `dist` alike. */
const BUILD = new URL('../build/', import.meta.url);

/**
 * Twice sixteen bytes of zero under a key of zero, at the nonces 0 and 1. The first of AES-256 is test case 14 of the GCM
 * specification (McGrew and Viega); the others were worked out with another implementation.
 */
const KNOWN_ANSWERS: Readonly<Record<string, { keyBytes: number; sealed: string }>> = {
  'aes-128-gcm': {
    keyBytes: 16,
    sealed:
      '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf0a2ddce64b3d6c0dfa353e4326376158018225660e9cf611e841ed4c9ce772fd',
  },
  'aes-192-gcm': {
    keyBytes: 24,
    sealed:
      '98e7247c07f0fe411c267e4384b0f6002ff58d80033927ab8ef4d4587514f0fbd530daf5e7b8c31d0b5cb72b6c091c995703df4ff41dcd2af403c0c49e1cd5fe',
  },
  'aes-256-gcm': {
    keyBytes: 32,
    sealed:
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919a688a33a6f63c32701ec8d6356366defadf88c80c4fda509a77c7a5ca9df477d',
  },
  'chacha20-poly1305': {
    keyBytes: 32,
    sealed:
      '9f07e7be5551387a98ba977c732d080dc34a88047320f52aa2c6683ef8084d2f46f0f6efee15c8f1b198cb49d92b9908a61e5defe840db8da91774d33c5aac06',
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
 * The class over the module's functions. A context is a private field: V8 checks `this` by it, and the module reads it in
 * a tenth of the time that it takes to unwrap an object of a class of its own, which was a fifth of sealing two bytes.
 */
function addonOf({ create, seal, open, setNonce, close }: CompiledModule): Addon {
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

/** Two messages, so that the nonce is seen to move; a wrong tag between them, so that it is seen to be refused. */
function isRight({ AeadContext }: Addon, aead: string): boolean {
  const { keyBytes, sealed } = KNOWN_ANSWERS[aead]!;
  const plain = new Uint8Array(16);
  const messages = [new Uint8Array(16 + 16), new Uint8Array(16 + 16)];
  const opened = new Uint8Array(16);
  try {
    const sealer = new AeadContext(aead, new Uint8Array(keyBytes));
    const opener = new AeadContext(aead, new Uint8Array(keyBytes));
    for (const message of messages) sealer.seal(message, 0, plain, 0, plain.length);
    const altered = Uint8Array.from(messages[0]!);
    altered[31]! ^= 1;
    const right =
      Buffer.concat(messages).toString('hex') === sealed &&
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
