import { PseudoRandom } from '../pseudo-random.ts';
import { startTarget, type Target } from './target.ts';

export const DOWNLOAD_REQUEST = 'GET\r\n';
export const DOWNLOAD_BYTES = 1024 * 1024;

/** Answers a request with DOWNLOAD_BYTES of PseudoRandom('download') and ends first, as HTTP/1.0 does. */
export function startDownload(): Promise<Target> {
  return startTarget(async connection => {
    await connection.take(DOWNLOAD_REQUEST.length);
    await connection.send(new PseudoRandom('download').take(DOWNLOAD_BYTES));
  });
}
