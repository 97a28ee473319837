import type { AeadBackend, AeadContext } from './aead.ts';
import { MAX_KEY_BYTES, sip004Subkey, sip022Subkey } from './key-derivation.ts';
import type { Method } from './methods.ts';

/** Where every subkey lies for the moment between its derivation and the context that copies it. */
const scratch = new Uint8Array(MAX_KEY_BYTES);

interface Services {
  readonly method: Pick<Method, 'aead'>;
  readonly backend: Pick<AeadBackend, 'create'>;
}

/** The context of one direction of a SIP004 connection, or of one datagram; the subkey stays nowhere else. */
export function sip004Context(services: Services, masterKey: Uint8Array, salt: Uint8Array): AeadContext {
  return contextOf(services, sip004Subkey(masterKey, salt, scratch));
}

/** The context of one direction of a SIP022 connection; the subkey stays nowhere else. */
export function sip022Context(services: Services, psk: Uint8Array, salt: Uint8Array): AeadContext {
  return contextOf(services, sip022Subkey(psk, salt, scratch));
}

function contextOf({ method, backend }: Services, subkey: Uint8Array): AeadContext {
  try {
    return backend.create(method.aead, subkey);
  } finally {
    scratch.fill(0);
  }
}
