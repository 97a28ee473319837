import { PodsocksError } from '../runtime/errors.ts';
import type { AeadBackend } from './aead.ts';
import { nativeAbsence, nativeBackend } from './aead-native.ts';
import { nobleBackend } from './aead-noble.ts';
import { nodeBackend } from './aead-node.ts';
import type { Method } from './methods.ts';

/** What `--crypto-backend` takes. */
export const BACKEND_CHOICES = ['auto', 'native', 'node', 'noble'] as const;
export type BackendChoice = (typeof BACKEND_CHOICES)[number];

/** Fastest first. */
export const BACKENDS: readonly AeadBackend[] = [nativeBackend, nodeBackend, nobleBackend];

/**
 * The backend for a method, chosen once at start: the fastest that supports it, or the one asked for.
 *
 * @throws PodsocksError ERR_CONFIG when the one asked for cannot do the method.
 */
export function backendFor(method: Method, choice: BackendChoice): AeadBackend {
  if (choice === 'auto') return BACKENDS.find(backend => backend.supports(method.aead))!;
  const backend = BACKENDS.find(candidate => candidate.name === choice)!;
  const absence = choice === 'native' ? nativeAbsence() : undefined;
  if (absence !== undefined) {
    throw new PodsocksError(
      'ERR_CONFIG',
      `there is no native crypto backend (${absence}); run: npm run build:native, or use --crypto-backend auto`,
    );
  }
  if (!backend.supports(method.aead)) {
    throw new PodsocksError(
      'ERR_CONFIG',
      `the crypto backend "${choice}" has no ${method.aead}, which ${method.name} needs; use --crypto-backend auto`,
    );
  }
  return backend;
}

/** What a log says of what was chosen: `node (native addon not built: there is no C compiler …)`. */
export function describeBackend({ name }: AeadBackend, choice: BackendChoice): string {
  const absence = choice === 'auto' ? nativeAbsence() : undefined;
  return absence === undefined ? name : `${name} (native addon ${absence})`;
}
