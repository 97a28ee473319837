import type { Duplex } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';

/** Milliseconds; a refusal within a cluster takes less. */
const PATIENCE_MS = 2_500;

/**
 * What first comes of a stream, which is ended then: bytes, its end, or nothing for a while.
 *
 * @throws PodsocksError for what does not open with our key.
 */
export function firstSign(stream: Duplex): Promise<'answer' | 'end' | 'none'> {
  return new Promise<'answer' | 'end' | 'none'>((resolve, reject) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'none');
    stream.once('data', () => resolve('answer'));
    stream.once('error', error => {
      if (error instanceof PodsocksError && error.code === 'ERR_AUTHENTICATION') reject(error);
      else resolve('end');
    });
    for (const event of ['end', 'close']) stream.once(event, () => resolve('end'));
    stream.once('close', () => clearTimeout(timer));
  }).finally(() => stream.destroy());
}
