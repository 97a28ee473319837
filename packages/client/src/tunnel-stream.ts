import type { Duplex } from 'node:stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { StreamDuplex } from '@podsocks/shared/net/stream-duplex';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import { REASONS } from './connect-reply.ts';
import { requestStatus } from './connect-status.ts';
import { sealFirst, unsealedFirst } from './first-flight.ts';
import type { ServerLink } from './servers/server-link.ts';

export interface TunnelStreamOptions {
  /** Whether the server is asked what became of the request; if not, the stream is open before anybody knows. */
  readonly wantsStatus: boolean;
  /** Milliseconds that the server has for that. */
  readonly timeout: number;
  /** Gives up what is not open yet. */
  readonly signal?: AbortSignal;
}

const NOTHING = new Uint8Array(0);

/**
 * A request of ss-local's own on a connection to a server, as a stream. With the stream the connection closes, and if there will be
 * none, it does at once.
 *
 * @throws RefusedTarget where the server has said why, PodsocksError ERR_CLOSED when given up, or what `requestStatus` fails with.
 */
export async function openTunnelStream(
  { link, connection }: { readonly link: Pick<ServerLink, 'streams' | 'keys'>; readonly connection: Connection },
  target: Target,
  { wantsStatus, timeout, signal }: TunnelStreamOptions,
): Promise<Duplex> {
  const sealer = link.streams.sealRequest(link.keys, target, { wantsStatus });
  const opener = link.streams.openResponse(link.keys, sealer.salt);
  let answer: Uint8Array = NOTHING;
  const giveUp = () => connection.reset();
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    if (signal?.aborted) throw gone(target);
    if (wantsStatus) {
      const request = { client: undefined, tunnel: connection, sealer, opener, rest: NOTHING, timeout };
      const outcome = await requestStatus(request);
      if (outcome.kind !== 'status') throw outcome.kind === 'failed' ? outcome.error : gone(target);
      const { reply } = outcome.status;
      if (reply !== 'succeeded') throw new RefusedTarget(target, reply);
      answer = outcome.answer;
    } else {
      // Alone: the other side may be the first to speak.
      const { buffer, length } = sealFirst(sealer, NOTHING, 0);
      connection.socket.write(buffer.subarray(0, length));
      if (connection.socket.writableLength === 0) buffers.give(buffer); // else the kernel has not taken it yet
    }
  } catch (error) {
    sealer.close();
    opener.close();
    connection.reset();
    throw signal?.aborted ? gone(target) : error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
  const first = unsealedFirst(answer);
  const stream = new StreamDuplex({ connection, opener, sealer, first });
  stream.on('error', () => {}); // whoever cares listens too, and a server that resets ends nothing else
  // A stream that has failed is not the whole, and must not end as if it were.
  stream.once('close', () => (stream.errored ? connection.reset() : connection.close()));
  return stream;
}

/** The server has said why it does not reach a target. */
export class RefusedTarget extends PodsocksError {
  readonly reply: keyof typeof REASONS;

  constructor(target: Target, reply: keyof typeof REASONS) {
    super(reply === 'notAllowed' ? 'ERR_DENIED' : 'ERR_DIAL', `${formatTarget(target)}: ${REASONS[reply]}`);
    this.reply = reply;
  }
}

function gone(target: Target): PodsocksError {
  return new PodsocksError('ERR_CLOSED', `${formatTarget(target)}: given up`);
}
