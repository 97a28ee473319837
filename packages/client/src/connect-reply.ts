import type { RequestSealer, StreamOpener } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { FirstBytes } from '@podsocks/shared/net/relay';
import type { Traffic } from '@podsocks/shared/net/traffic';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import type { ConnectRequest } from './connect-request.ts';
import { requestStatus } from './connect-status.ts';
import { firstFlight, sealFirst } from './first-flight.ts';
import type { ServerLink } from './servers/server-link.ts';

/** When clients get the reply to a connect: once the target was reached, where the server tells, or always at once. */
export const CONNECT_REPLIES = ['auto', 'early'] as const;

export type ConnectReplySetting = (typeof CONNECT_REPLIES)[number];

/** A request whose server has been reached, on its way there. */
export interface Opened {
  readonly client: Connection;
  readonly tunnel: Connection;
  readonly request: ConnectRequest;
  readonly sealer: RequestSealer;
  readonly opener: StreamOpener;
}

/** What is to be relayed after the reply. */
export interface Begun {
  /** For the server. */
  readonly first: FirstBytes | undefined;
  /** What went through already. */
  readonly traffic: Traffic;
}

/** What the reply is where there will be nothing to relay. */
export interface Refused {
  readonly reply: Exclude<ConnectReply, 'succeeded'>;
  /** In words, for the log; undefined where the client has gone. */
  readonly reason: string | undefined;
  /** Set where the server has not said what it should have. */
  readonly error?: Error;
  /** What the client has sent, of which nothing has left: with it another server may be asked. */
  readonly rest?: Uint8Array;
}

/**
 * Says "succeeded" at once, as all clients of Shadowsocks do: the protocol has no answer to a request. So what the program says
 * first leaves together with the request.
 */
export async function replyEarly({ client, request, sealer }: Opened): Promise<Begun> {
  say(client, request.encodeReply('succeeded'));
  return { first: await firstFlight(client, sealer, request.rest), traffic: { bytesUp: 0, bytesDown: 0 } };
}

/**
 * Says what the server says, once it does. The reply of a refusal is left to the caller.
 *
 * @param timeout milliseconds that the server has.
 * @param link suspected when it has not answered within {@link LATE_MS}; and if it is found to be gone, that is the end.
 */
export async function replyTruly(
  opened: Opened,
  timeout: number,
  link: Pick<ServerLink, 'suspect' | 'onUnhealthy'>,
): Promise<Begun | Refused> {
  const { client, request, sealer } = opened;
  const timer = setTimeout(() => link.suspect(NO_ANSWER_YET), LATE_MS);
  const outcome = await requestStatus({
    ...opened,
    rest: request.rest,
    timeout,
    mayEnd: request.isForward ?? false,
    onUnhealthy: gone => link.onUnhealthy(gone),
  });
  clearTimeout(timer);
  if (outcome.kind === 'gone') return { reply: 'generalFailure', reason: undefined };
  if (outcome.kind === 'failed') {
    const { error } = outcome;
    const isLate = error instanceof PodsocksError && error.code === 'ERR_TIMEOUT';
    return { reply: isLate ? 'ttlExpired' : 'generalFailure', reason: error.message, error, rest: outcome.payload };
  }
  const { status, answer, payload } = outcome;
  if (status.reply !== 'succeeded') return { reply: status.reply, reason: REASONS[status.reply] };
  say(client, request.encodeReply('succeeded', status.bound));
  say(client, answer);
  return {
    first: payload.length > 0 ? sealFirst(sealer, payload, payload.length) : undefined,
    traffic: { bytesUp: 0, bytesDown: answer.length },
  };
}

/** Most targets are reached, or refuse, sooner than this; a server that has died says nothing either. */
export const LATE_MS = 2_000;

export const NO_ANSWER_YET = `no answer to a request within ${LATE_MS / 1000} s`;

function say({ socket }: Connection, bytes: Uint8Array): void {
  if (bytes.length > 0) socket.write(bytes);
}

/** What a server's refusal means, in words. */
export const REASONS: Record<Exclude<ConnectReply, 'succeeded'>, string> = {
  generalFailure: 'the server could not connect; its log says why',
  notAllowed: "not allowed by the server's policy",
  networkUnreachable: 'network unreachable',
  hostUnreachable: 'no such name, or host unreachable',
  connectionRefused: 'connection refused',
  ttlExpired: 'the target does not answer',
  commandNotSupported: 'the server does not support it',
  addressTypeNotSupported: 'the server does not support this type of address',
};
