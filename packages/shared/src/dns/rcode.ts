/** RCODE values (RFC 1035 section 4.1.1, RFC 6891 section 9). */
export const Rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

/** `SERVFAIL`, for messages. */
export function rcodeName(rcode: number): string {
  return Object.entries(Rcode).find(([, value]) => value === rcode)?.[0] ?? `RCODE ${rcode}`;
}
