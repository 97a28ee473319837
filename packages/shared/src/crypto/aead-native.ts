import { type Addon, loadAddon } from '@podsocks/native/addon';
import type { AeadBackend } from './aead.ts';

let loaded: ReturnType<typeof loadAddon> | undefined;

/** Loaded when it is asked for, and not at all under `--crypto-backend node`. */
function load(): ReturnType<typeof loadAddon> {
  loaded ??= loadAddon();
  return loaded;
}

/** Why there is no native backend, in words for a log; undefined when there is one. */
export function nativeAbsence(): string | undefined {
  const outcome = load();
  return 'reason' in outcome ? outcome.reason : undefined;
}

/** The addon of packages/native, whose classes are what the contracts ask for. It has no XChaCha20. */
export const nativeBackend: AeadBackend = {
  name: 'native',
  supports(aead) {
    const outcome = load();
    return 'aeads' in outcome && outcome.aeads.has(aead);
  },
  create: (aead, key) => new (addon().AeadContext)(aead, key),
  createSalted: (aead, masterKey) => new (addon().SaltedAead)(aead, masterKey),
};

function addon(): Addon {
  const outcome = load();
  if ('reason' in outcome) throw new TypeError(`there is no native addon: ${outcome.reason}`);
  return outcome.addon;
}
