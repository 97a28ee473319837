import type { Duplex } from 'node:stream';
import { isServersFault } from '../carrier.ts';

/** Milliseconds; a refusal within a cluster takes less. */
const PATIENCE_MS = 2_500;

/**
 * What first comes of a stream, which is ended then: bytes, its end, or nothing for a while.
 *
 * @throws PodsocksError for an answer that is refused: it does not open with our key, or is not for us.
 */
export function firstSign(stream: Duplex): Promise<'answer' | 'end' | 'none'> {
  return new Promise<'answer' | 'end' | 'none'>((resolve, reject) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'none');
    stream.once('data', () => resolve('answer'));
    stream.once('error', error => {
      if (isServersFault(error)) reject(error);
      else resolve('end');
    });
    for (const event of ['end', 'close']) stream.once(event, () => resolve('end'));
    stream.once('close', () => clearTimeout(timer));
  }).finally(() => stream.destroy());
}
