/** What one operation takes. */
export interface CipherSpeed {
  readonly aead: string;
  /** Of plaintext. */
  readonly bytes: number;
  readonly operation: 'seal' | 'open';
  readonly nanoseconds: number;
}

/** A packet of DNS, one of a full MTU or so, SIP004's largest chunk and SIP022's (each but for a byte or none). */
export const SIZES = [64, 1024, 16384, 65535] as const;
