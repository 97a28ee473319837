import type { Target } from '@podsocks/shared/wire/address';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';

/** What a program wants to be connected to, by whichever protocol it has asked. It waits for its reply. */
export interface ConnectRequest {
  readonly command: 'connect';
  readonly target: Target;
  /** Who gave a password, where one is asked for. */
  readonly username?: string;
  /** What the program has sent behind its request without waiting for the reply. */
  readonly rest: Uint8Array;
  /**
   * The reply in the protocol's own words; empty where it has none.
   *
   * @param bound the address that the target was reached from, where it is known.
   */
  readonly encodeReply: (reply: ConnectReply, bound?: Target) => Uint8Array;
  /** It has come to a port that stands for the target: it never goes directly, and nobody waits for a reply. */
  readonly isForward?: boolean;
}
