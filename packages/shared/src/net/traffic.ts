/** What went through a connection or an association: bytes of payload. */
export interface Traffic {
  /** Towards the target. */
  bytesUp: number;
  /** Towards the client. */
  bytesDown: number;
}
