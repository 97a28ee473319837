import { EventEmitter, once } from 'node:events';
import { sha256 } from '../pseudo-random.ts';
import { startTarget, type Target } from './target.ts';

export interface DigestTarget extends Target {
  /** The SHA-256 of the next request that has ended, whether or not the answer can still be sent. */
  nextRequest(): Promise<string>;
}

/** Reads until FIN, then answers with the SHA-256 of what it got, then FIN. */
export async function startDigest(): Promise<DigestTarget> {
  const requests = new EventEmitter();
  const target = await startTarget(async connection => {
    const digest = sha256(await connection.takeAll());
    requests.emit('request', digest);
    await connection.send(digest);
  });
  return {
    ...target,
    nextRequest: async () => (await once(requests, 'request'))[0],
  };
}
