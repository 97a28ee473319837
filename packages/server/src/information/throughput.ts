import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { InformationError, type InformationRequest } from './answer.ts';

/** Enough for a tenth of a second at 40 MB/s; what a connection may ask for a hundred times. */
const MOST_BYTES = 4 * 1024 * 1024;

const ZEROS = Buffer.alloc(64 * 1024);

/**
 * `bytes` of zeros, for a client that wants to know how fast they come.
 *
 * @throws InformationError 400 where it asks for more than there are.
 */
export function sendThroughput({ parameters }: Pick<InformationRequest, 'parameters'>, response: ServerResponse): void {
  const given = parameters.get('bytes') ?? '';
  const bytes = /^\d{1,7}$/.test(given) ? Number(given) : Number.NaN;
  if (!(bytes >= 1 && bytes <= MOST_BYTES)) {
    throw new InformationError(400, 'bad-request', `bytes has to be a number from 1 to ${MOST_BYTES}`);
  }
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Cache-Control': 'no-store',
    'Content-Length': bytes,
  });
  Readable.from(zeros(bytes), { objectMode: false })
    .on('error', () => {})
    .pipe(response);
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}
