import { randomBytes } from 'node:crypto';
import { type BackendChoice, backendFor } from '../crypto/backends.ts';
import type { Method } from '../crypto/methods.ts';
import { replayFilter } from '../crypto/replay-filter.ts';
import type { StreamServices } from '../crypto/stream.ts';

/**
 * What the streams of a running program need: the chosen backend, the system's randomness and clocks.
 *
 * @throws PodsocksError ERR_CONFIG when the backend cannot do the method.
 */
export function streamServices(method: Method, choice: BackendChoice): StreamServices {
  return {
    method,
    backend: backendFor(method, choice),
    random: randomBytes,
    unixTime: () => Math.floor(Date.now() / 1000),
    replays: replayFilter(method, () => performance.now(), randomBytes(4).readInt32LE()),
  };
}
