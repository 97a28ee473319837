import { choicesFor } from '@podsocks/shared/crypto/backend-fixtures';
import type { BackendChoice } from '@podsocks/shared/crypto/backends';
import type { Method } from '@podsocks/shared/crypto/methods';

/**
 * The crypto backend of our programs in tests that do not choose one: that of `SS_CRYPTO_BACKEND=node npm test`, where it
 * can do the method.
 */
export function backendUnderTest(method: Method): BackendChoice {
  return choicesFor(method).find(choice => choice === process.env.SS_CRYPTO_BACKEND) ?? 'auto';
}
