import { createHash } from 'node:crypto';
import type { Connection } from '../connection.ts';
import { PseudoRandom } from '../pseudo-random.ts';
import { startTarget, type Target } from './target.ts';

const BYTES = 64 * 1024 * 1024;
const PIECE = 256 * 1024;

export interface DuplexDigests {
  readonly sent: string;
  readonly received: string;
}

/** Sends 64 MiB while it takes 64 MiB, then the two digests as it has seen them. Needs no FIN, so every peer can do it. */
export function startDuplex(): Promise<Target> {
  return startTarget(async connection => {
    const { sent, received } = await exchange(connection, 'target');
    await connection.send(sent + received);
  });
}

/** The other side of it. */
export async function exchangeWithDuplex(
  connection: Connection,
): Promise<{ readonly client: DuplexDigests; readonly target: DuplexDigests }> {
  const client = await exchange(connection, 'client');
  const target = { sent: await takeDigest(connection), received: await takeDigest(connection) };
  return { client, target };
}

async function exchange(connection: Connection, seed: string): Promise<DuplexDigests> {
  const [sent, received] = await Promise.all([sendAll(connection, seed), receiveAll(connection)]);
  return { sent, received };
}

async function sendAll(connection: Connection, seed: string): Promise<string> {
  const source = new PseudoRandom(seed);
  for (let sent = 0; sent < BYTES; sent += PIECE) await connection.send(source.take(PIECE));
  return source.digest();
}

async function receiveAll(connection: Connection): Promise<string> {
  const hash = createHash('sha256');
  for (let missing = BYTES; missing > 0; ) {
    const bytes = await connection.read(missing);
    if (bytes === undefined) throw new Error(`connection ended ${missing} bytes before the ${BYTES} expected`);
    hash.update(bytes);
    missing -= bytes.length;
  }
  return hash.digest('hex');
}

async function takeDigest(connection: Connection): Promise<string> {
  return String(await connection.take(2 * 32));
}
