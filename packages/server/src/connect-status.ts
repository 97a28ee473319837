import type { StreamSealer } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { targetOf } from '@podsocks/shared/wire/address';
import { type ConnectReply, encodeStatus } from '@podsocks/shared/wire/connect-status';
import { UNBOUND } from '@podsocks/shared/wire/socks5';
import type { RefusalReason } from './sessions/session.ts';

/**
 * Sends a connect status, which has to be the first of an answer.
 *
 * @param dialled the address that was reached, as the system spells it.
 */
export function sendStatus(
  { socket }: Connection,
  sealer: StreamSealer,
  reply: ConnectReply,
  dialled?: { readonly address: string; readonly port: number },
): void {
  const bound = dialled && targetOf(dialled.address, dialled.port);
  // A status has no room for names: 20 bytes are all that it may take.
  const status = encodeStatus({ reply, bound: bound === undefined || bound.type === 'name' ? UNBOUND : bound });
  const sealed = new Uint8Array(sealer.sealedLength(status.length));
  socket.write(sealed.subarray(0, sealer.seal(sealed, 0, status, 0, status.length)));
}

/** What RFC 1928 section 6 calls it. */
export function replyOf(reason: RefusalReason, error: Error): ConnectReply {
  if (reason !== 'unreachable') return REPLIES[reason];
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ENETUNREACH' ? 'networkUnreachable' : 'hostUnreachable';
}

const REPLIES: Record<Exclude<RefusalReason, 'unreachable'>, ConnectReply> = {
  policy: 'notAllowed',
  name: 'hostUnreachable',
  refused: 'connectionRefused',
  timeout: 'ttlExpired', // of all that there are it is the one that programs show as a time-out
  limit: 'generalFailure',
  expired: 'generalFailure',
  descriptors: 'generalFailure',
  other: 'generalFailure',
};
