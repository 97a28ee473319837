import { loadAddon } from '@podsocks/native/addon';
import type { AeadBackend } from './aead.ts';

const loaded = loadAddon();

/** Why there is no native backend, in words for a log; undefined when there is one. */
export const nativeAbsence = 'reason' in loaded ? loaded.reason : undefined;

/** The addon of packages/native, whose contexts are what the contract asks for. It has no XChaCha20. */
export const nativeBackend: AeadBackend = {
  name: 'native',
  supports: aead => 'addon' in loaded && aead !== 'xchacha20-poly1305',
  create(aead, key) {
    if (!('addon' in loaded)) throw new TypeError(`there is no native addon: ${loaded.reason}`);
    return new loaded.addon.AeadContext(aead, key);
  },
};
