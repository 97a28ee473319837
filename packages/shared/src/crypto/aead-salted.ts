import type { AeadBackend, SaltedAead } from './aead.ts';
import type { Aead } from './methods.ts';
import { sip004Context } from './session-context.ts';

/** Salted messages for backends that know no more than contexts: each gets one of its own. */
export class ContextPerMessage implements SaltedAead {
  readonly #services: Parameters<typeof sip004Context>[0];
  readonly #masterKey: Uint8Array;

  constructor(backend: Pick<AeadBackend, 'create'>, aead: Aead, masterKey: Uint8Array) {
    this.#services = { method: { aead }, backend };
    this.#masterKey = Uint8Array.from(masterKey);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
    const bodyAt = outAt + this.#masterKey.length;
    const context = sip004Context(this.#services, this.#masterKey, out.subarray(outAt, bodyAt));
    context.seal(out, bodyAt, input, inputAt, length);
    context.close();
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
    const bodyAt = inputAt + this.#masterKey.length;
    const context = sip004Context(this.#services, this.#masterKey, input.subarray(inputAt, bodyAt));
    const authentic = context.open(out, outAt, input, bodyAt, length);
    context.close();
    return authentic;
  }

  close(): void {
    this.#masterKey.fill(0);
  }
}
