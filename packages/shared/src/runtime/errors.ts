/**
 * Every error that podsocks throws on purpose. `code` is stable: it is the label in logs and metrics, and the edges
 * (SOCKS replies, exit codes) map from it. Messages never contain keys or payload.
 */
export type ErrorCode =
  /** Wrong flag or argument; exit code 2. */
  | 'ERR_USAGE'
  /** Wrong configuration: the message names field, place and mend; exit code 2. */
  | 'ERR_CONFIG'
  /** An argument that the caller should have checked. */
  | 'ERR_ARGUMENT'
  /** ADDR of RFC 1928 section 5 that nobody could dial. */
  | 'ERR_ADDRESS'
  /** SOCKS bytes that no reply can answer. */
  | 'ERR_SOCKS'
  /** No key opens it, or a later chunk was altered. */
  | 'ERR_AUTHENTICATION'
  /** Authentic, but not what the protocol allows at this place. */
  | 'ERR_HEADER'
  /** A salt or packet that was seen before, or one of our own. */
  | 'ERR_REPLAY'
  /** Timestamp more than 30 s away (SIP022 sections 3.1.3 and 3.2.3). */
  | 'ERR_TIMESTAMP'
  /** The peer ended in the middle of a chunk or header. */
  | 'ERR_TRUNCATED'
  /** Listening failed: port taken, no permission, no such address. */
  | 'ERR_LISTEN'
  /** Dialling failed; `cause` holds the system's error. */
  | 'ERR_DIAL'
  /** The policy does not let this user go there; the message names the rule. */
  | 'ERR_DENIED'
  /** A deadline passed. */
  | 'ERR_TIMEOUT'
  /** More than can be remembered (replay filter, sessions), or than a datagram can hold. */
  | 'ERR_LIMIT'
  /** A connection was closed while it was in use: by a drain, a deadline, or its end before it was needed. */
  | 'ERR_CLOSED';

export class PodsocksError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PodsocksError';
    this.code = code;
  }
}
