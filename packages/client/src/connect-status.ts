import type { RequestSealer, StreamOpener } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type ConnectStatus, decodeStatus } from '@podsocks/shared/wire/connect-status';
import { sealFirst } from './first-flight.ts';

/** What becomes of a request that asked for a connect status. */
export type StatusOutcome =
  | {
      readonly kind: 'status';
      readonly status: ConnectStatus;
      /** What the target has said so far. */
      readonly answer: Uint8Array;
      /** What the client has sent meanwhile. */
      readonly payload: Uint8Array;
    }
  /** The client does not want it any more. */
  | { readonly kind: 'gone' }
  /** The server has not said what became of it. */
  | {
      readonly kind: 'failed';
      readonly error: Error;
      /** What the client has sent meanwhile; none of it has left. */
      readonly payload: Uint8Array;
    };

export interface StatusRequest {
  /** Whose request it is, where it is a connection. It does not read. */
  readonly client: Connection | undefined;
  /** To the server. It does not read. */
  readonly tunnel: Connection;
  readonly sealer: RequestSealer;
  readonly opener: StreamOpener;
  /** What the client has sent behind its request. */
  readonly rest: Uint8Array;
  /** Milliseconds until the server must have answered. */
  readonly timeout: number;
  /** Whether the client waits for no reply, and so may have ended its side and still want the answer. */
  readonly mayEnd?: boolean;
  /** Calls back when the server is found to be gone, so that waiting is of no use. @returns how to stop that. */
  readonly onUnhealthy?: ((gone: (reason: string) => void) => () => void) | undefined;
}

/** What a client may send before it has its reply; what is more stays in the kernel until then. */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * Sends the header of a request, alone, and waits for the connect status. The client is read meanwhile, or else nobody would
 * notice that it goes. One that ends before it has its reply, and has said nothing, has gone: who only means to half-close
 * waits for the reply first.
 *
 * @returns when neither is read any more.
 */
export function requestStatus({
  client,
  tunnel,
  sealer,
  opener,
  rest,
  timeout,
  mayEnd = false,
  onUnhealthy,
}: StatusRequest): Promise<StatusOutcome> {
  return new Promise(resolve => {
    const early: Uint8Array[] = rest.length > 0 ? [rest] : [];
    let earlyBytes = rest.length;
    let begun: Uint8Array = new Uint8Array(0);

    const settle = (outcome: StatusOutcome) => {
      clearTimeout(timer);
      stopWatching?.();
      client?.socket.off('end', onClientEnd).off('close', onClientClose).pause();
      tunnel.socket.off('end', onServerEnd).off('error', fail).off('close', onServerEnd).pause();
      resolve(outcome);
    };
    const fail = (error: Error) => settle({ kind: 'failed', error, payload: Buffer.concat(early) });
    const stopWatching = onUnhealthy?.(reason =>
      fail(new PodsocksError('ERR_CLOSED', `the server is gone: ${reason}`)),
    );
    const onClientClose = () => settle({ kind: 'gone' });
    const onClientEnd = () => {
      if (earlyBytes === 0 && !mayEnd) settle({ kind: 'gone' });
    };
    const onServerEnd = () =>
      fail(new PodsocksError('ERR_CLOSED', 'the server ended the connection and did not say what became of it'));
    const timer = setTimeout(
      () =>
        fail(new PodsocksError('ERR_TIMEOUT', `the server has not said within ${timeout / 1000} s what became of it`)),
      timeout,
    );

    if (client !== undefined) {
      client.receive = (input, length) => {
        early.push(Uint8Array.from(input.subarray(0, length)));
        earlyBytes += length;
        return earlyBytes < MAX_EARLY_BYTES;
      };
      client.socket.on('end', onClientEnd).on('close', onClientClose);
    }
    tunnel.receive = (input, length) => {
      const out = buffers.take(opener.openedLength(length));
      try {
        const opened = opener.open(out, 0, input, 0, length);
        begun = Buffer.concat([begun, out.subarray(0, opened)]);
        const decoded = decodeStatus(begun, 0, begun.length);
        if (decoded === undefined) return true;
        const answer = begun.subarray(decoded.length);
        settle({ kind: 'status', status: decoded.status, answer, payload: Buffer.concat(early) });
      } catch (error) {
        fail(error as Error);
      } finally {
        buffers.give(out);
      }
      return false;
    };
    tunnel.socket.on('end', onServerEnd).on('error', fail).on('close', onServerEnd);

    const { buffer, length } = sealFirst(sealer, rest, 0);
    tunnel.socket.write(buffer.subarray(0, length));
    if (tunnel.socket.writableLength === 0) buffers.give(buffer); // else the kernel has not taken it yet
    if (client?.socket.closed) onClientClose();
    else {
      tunnel.socket.resume();
      if (earlyBytes < MAX_EARLY_BYTES) client?.socket.resume();
    }
  });
}
