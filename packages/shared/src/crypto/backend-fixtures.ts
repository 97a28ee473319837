import { nativeAbsence } from './aead-native.ts';
import { BACKEND_CHOICES, type BackendChoice } from './backends.ts';
import type { Method } from './methods.ts';

/** The choices that can do a method on this machine; packages/native/src/addon.test.ts tells when native is not here. */
export function choicesFor(method: Method): readonly BackendChoice[] {
  const hasNative = nativeAbsence() === undefined;
  return BACKEND_CHOICES.filter(choice => {
    if (method.aead === 'xchacha20-poly1305') return choice === 'auto' || choice === 'noble';
    return choice !== 'native' || hasNative;
  });
}
