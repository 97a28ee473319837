import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { InformationError, type InformationRequest } from './answer.ts';

/** Enough for a tenth of a second at 40 MB/s; what a connection may ask for a hundred times. */
const MOST_BYTES = 4 * 1024 * 1024;

const ZEROS = Buffer.alloc(64 * 1024);

/** Between two measurements of one user, whose bandwidth may be limited: no limit holds for what ss-server says itself. */
const PAUSE_MS = 2_000;

/** Users whose last one is remembered. */
const MOST_USERS = 10_000;

/** Zeros, for clients that want to know how fast they come. */
export class Throughput {
  readonly #measuredAt = new Map<string, number>();

  /**
   * Sends as many as `bytes` says.
   *
   * @throws InformationError 400 where it asks for more than there are, 429 where it asks too often.
   */
  send({ parameters, user }: InformationRequest, response: ServerResponse): void {
    const given = parameters.get('bytes') ?? '';
    const bytes = /^\d{1,7}$/.test(given) ? Number(given) : Number.NaN;
    if (!(bytes >= 1 && bytes <= MOST_BYTES)) {
      throw new InformationError(400, 'bad-request', `bytes has to be a number from 1 to ${MOST_BYTES}`);
    }
    const now = performance.now();
    if (now - (this.#measuredAt.get(user) ?? Number.NEGATIVE_INFINITY) < PAUSE_MS) {
      throw new InformationError(429, 'busy', 'there was a measurement a moment ago; try again in two seconds');
    }
    if (this.#measuredAt.size >= MOST_USERS) this.#measuredAt.clear();
    this.#measuredAt.set(user, now);
    response.writeHead(200, {
      'Content-Type': 'application/octet-stream',
      'Cache-Control': 'no-store',
      'Content-Length': bytes,
    });
    Readable.from(zeros(bytes), { objectMode: false })
      .on('error', () => {})
      .pipe(response);
  }
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}
