import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import { replyOfFailure } from '../carrier.ts';
import { REASONS } from '../connect-reply.ts';
import { PSEUDONYM } from './header-fields.ts';
import { type OwnAnswer, textAnswer } from './own-answer.ts';

/** A word of RFC 9209 section 2.3, and the status of HTTP that goes with it. */
type ProxyError = readonly [status: number, error: string];

const PROXY_ERRORS: Record<Exclude<ConnectReply, 'succeeded'>, ProxyError> = {
  generalFailure: [502, 'proxy_internal_error'],
  notAllowed: [403, 'http_request_denied'],
  networkUnreachable: [502, 'destination_ip_unroutable'],
  hostUnreachable: [502, 'destination_unavailable'],
  connectionRefused: [502, 'connection_refused'],
  ttlExpired: [504, 'connection_timeout'],
  commandNotSupported: [501, 'proxy_configuration_error'],
  addressTypeNotSupported: [502, 'destination_ip_unroutable'],
};

/** The answer to a CONNECT that came to nothing. */
export function refusedConnect(reply: Exclude<ConnectReply, 'succeeded'>): OwnAnswer {
  return proxyFailure(PROXY_ERRORS[reply], REASONS[reply]);
}

/** The answer to a request whose stream was not opened, or broke before it was answered. */
export function failedStream(error: Error): OwnAnswer {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'HPE_HEADER_OVERFLOW') {
    return proxyFailure([502, 'http_response_header_section_size'], 'the head of the answer is too long');
  }
  if (code?.startsWith('HPE_')) return badAnswer('the answer is not HTTP/1.1');
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return proxyFailure([502, 'connection_terminated'], 'the target ended the connection without an answer');
  }
  return proxyFailure(PROXY_ERRORS[replyOfFailure(error)], error.message);
}

/** The answer where the target has said what no proxy may pass on. */
export function badAnswer(text: string): OwnAnswer {
  return proxyFailure([502, 'http_protocol_error'], text);
}

/** The answer to a request that has come back to where it was before. */
export function loop(): OwnAnswer {
  return proxyFailure([502, 'proxy_loop_detected'], 'the request goes in circles: its target is this proxy');
}

function proxyFailure([status, error]: ProxyError, text: string): OwnAnswer {
  return textAnswer(status, text, { 'Proxy-Status': `${PSEUDONYM}; error=${error}` });
}
