import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** As the compiled module has it; the contract of a context is AeadContext of the cipher core. Misuse throws RangeError. */
export interface Addon {
  readonly AeadContext: new (aead: string, key: Uint8Array) => NativeContext;
}

export interface NativeContext {
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void;
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean;
  setNonce(nonce: Uint8Array): void;
  close(): void;
}

/** From `src` and from `dist` alike. */
const BUILD = new URL('../build/', import.meta.url);

/**
 * Sixteen bytes of zero under a key and a nonce of zero. AES-256: test case 14 of the GCM specification (McGrew and Viega);
 * the others were worked out with another implementation.
 */
const KNOWN_ANSWERS: Readonly<Record<string, { keyBytes: number; sealed: string }>> = {
  'aes-128-gcm': { keyBytes: 16, sealed: '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf' },
  'aes-192-gcm': { keyBytes: 24, sealed: '98e7247c07f0fe411c267e4384b0f6002ff58d80033927ab8ef4d4587514f0fb' },
  'aes-256-gcm': { keyBytes: 32, sealed: 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919' },
  'chacha20-poly1305': { keyBytes: 32, sealed: '9f07e7be5551387a98ba977c732d080dc34a88047320f52aa2c6683ef8084d2f' },
};

/** Loads the addon, if there is one and it computes what it should; else says why not, in words for a log. */
export function loadAddon(): { addon: Addon } | { reason: string } {
  try {
    const addon = createRequire(import.meta.url)(fileURLToPath(new URL('aead.node', BUILD))) as Addon;
    const wrong = Object.keys(KNOWN_ANSWERS).find(aead => !isRight(addon, aead));
    return wrong === undefined ? { addon } : { reason: `its self-test of ${wrong} failed` };
  } catch (error) {
    return { reason: `not built: ${whyNotBuilt() ?? (error as Error).message.split('\n')[0]}` };
  }
}

/** What the build wrote down. */
function whyNotBuilt(): string | undefined {
  try {
    return readFileSync(new URL('reason.txt', BUILD), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function isRight({ AeadContext }: Addon, aead: string): boolean {
  const { keyBytes, sealed } = KNOWN_ANSWERS[aead]!;
  const key = new Uint8Array(keyBytes);
  const plain = new Uint8Array(16);
  const out = new Uint8Array(16 + 16);
  new AeadContext(aead, key).seal(out, 0, plain, 0, plain.length);
  const opened = new Uint8Array(16).fill(1);
  const authentic = new AeadContext(aead, key).open(opened, 0, out, 0, plain.length);
  return Buffer.from(out).toString('hex') === sealed && authentic && opened.every(byte => byte === 0);
}
