import { Rcode } from './rcode.ts';
import { HEADER_BYTES } from './record-walk.ts';

/** Bits of a header's flags (RFC 1035 section 4.1.1, RFC 4035 section 3.2). */
export const Flag = {
  QR: 0x8000,
  OPCODE: 0x7800,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
  RCODE: 0x000f,
} as const;

/**
 * What a message is to somebody who has asked: `foreign` does not answer this query, but another id or question, or is no
 * answer at all. Whoever sent it does not know the query, so it says nothing about the server. `bare` is an error without
 * the question.
 */
export type Match = 'foreign' | 'bare' | 'truncated' | 'whole';

/** @param questionEnd where the query's question ends, which is uncompressed. */
export function matchAnswer(message: Buffer, query: Buffer, questionEnd: number): Match {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== query.readUInt16BE(0)) return 'foreign';
  const flags = message.readUInt16BE(2);
  if ((flags & (Flag.QR | Flag.OPCODE)) !== Flag.QR) return 'foreign';
  if (message.readUInt16BE(4) !== 1 || !echoes(message, query, questionEnd)) {
    // Servers that cannot read a query cannot repeat it either, and some that fail do not trouble to.
    return UNREPEATED.has(flags & Flag.RCODE) && message.length === HEADER_BYTES ? 'bare' : 'foreign';
  }
  return (flags & Flag.TC) !== 0 ? 'truncated' : 'whole';
}

const UNREPEATED = new Set<number>([Rcode.FORMERR, Rcode.SERVFAIL, Rcode.NOTIMP, Rcode.REFUSED]);

/** Whether the question is the same, but for upper and lower case in its name, which servers may change. */
function echoes(message: Buffer, query: Buffer, end: number): boolean {
  if (message.length < end) return false;
  for (let at = HEADER_BYTES; at < end; at++) {
    if (lowerCase(message[at]!) !== lowerCase(query[at]!)) return false;
  }
  return true;
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
