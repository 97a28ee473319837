import { randomBytes } from 'node:crypto';
import { type BackendChoice, backendFor } from '../crypto/backends.ts';
import type { DatagramServices } from '../crypto/datagram.ts';
import { padNames } from '../crypto/datagrams.ts';
import type { Method } from '../crypto/methods.ts';
import { type ReplayFilter, replayFilter } from '../crypto/replay-filter.ts';
import type { StreamServices } from '../crypto/stream.ts';
import { random } from '../runtime/random.ts';

/**
 * What the streams of a running program need: the chosen backend, the system's randomness and clocks.
 *
 * @param replays where salts are remembered; default: a filter of this program's own.
 * @throws PodsocksError ERR_CONFIG when the backend cannot do the method.
 */
export function streamServices(
  method: Method,
  choice: BackendChoice,
  replays: ReplayFilter = ownReplays(method),
): StreamServices {
  return {
    method,
    backend: backendFor(method, choice),
    random,
    unixTime: () => Math.floor(Date.now() / 1000),
    replays,
  };
}

/**
 * What datagrams of a running program need. Their salts are remembered apart from those of streams, which few packets could
 * otherwise flush out.
 *
 * @throws PodsocksError ERR_CONFIG when the backend cannot do the method.
 */
export function datagramServices(method: Method, choice: BackendChoice): DatagramServices {
  return { ...streamServices(method, choice), padding: padNames(random), monotonicMs: () => performance.now() };
}

/** A replay filter on the system's clock, with a seed of its own. */
export function ownReplays(method: Method): ReplayFilter {
  return replayFilter(method, () => performance.now(), randomBytes(4).readInt32LE());
}
