import { Agent, type AgentOptions, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Target, targetOf } from '@podsocks/shared/wire/address';

/** Streams that one client may have in reserve. A browser keeps several connections to its proxy already. */
const MOST_IDLE = 4;

const OPTIONS: AgentOptions = { keepAlive: true, maxFreeSockets: 1 };

/**
 * The streams of one client to the servers that it asks, kept for its next request there. It has them for itself: what a server says
 * to one client must never be taken for the answer to another.
 */
export class OriginAgent extends Agent {
  readonly #open: (target: Target) => Promise<Duplex>;
  #isClosed = false;

  constructor(open: (target: Target) => Promise<Duplex>) {
    super(OPTIONS);
    this.#open = open;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    opened: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#open(targetOf(host!, Number(port))).then(
      stream => {
        // Its end is met by whoever uses it; between two requests that is nobody.
        stream.on('error', ignore);
        if (this.#isClosed) stream.destroy(); // not all versions of Node do
        // Node's client writes heads without saying how, and one character of them is one byte.
        stream.setDefaultEncoding('latin1');
        opened(null, Object.assign(stream, { ref: ignore }));
      },
      (error: Error) => opened(error, undefined as never),
    );
  }

  /** @returns whether it may be used again. */
  override keepSocketAlive(stream: Duplex): boolean {
    const idle = Object.values(this.freeSockets).reduce((count, streams) => count + (streams?.length ?? 0), 0);
    if (stream.destroyed || stream.readableEnded || idle >= MOST_IDLE) return false;
    // Whatever comes now answers no request.
    stream.on('data', discard).on('end', discard).resume();
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    stream.off('data', discard).off('end', discard);
    super.reuseSocket(stream, request);
  }

  /** What is under way breaks off, and must not look as if it had ended. */
  override destroy(): void {
    this.#isClosed = true;
    const inUse: readonly Duplex[] = Object.values(this.sockets).flatMap(streams => streams ?? []);
    for (const stream of inUse) stream.destroy(new PodsocksError('ERR_CLOSED', 'the client has gone'));
    super.destroy();
  }
}

function discard(this: Duplex): void {
  this.destroy();
}

function ignore(): void {}
