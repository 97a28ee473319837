import { Flag } from '@podsocks/shared/dns/answer-match';
import { Rcode } from '@podsocks/shared/dns/rcode';
import { HEADER_BYTES, MalformedMessage, type RecordPlace, Type, walkRecords } from '@podsocks/shared/dns/record-walk';

/*
 * A query (RFC 1035 section 4.1):
 *
 *   +----+-------+---------+---------+---------+---------+----------------------------+----------------+
 *   | id | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | name | type 2 | class 2    | OPT (RFC 6891) |
 *   +----+-------+---------+---------+---------+---------+----------------------------+----------------+
 *     2      2       1          2         2         2      the question
 */

/** What a program wants to know. */
export interface DnsQuery {
  readonly id: number;
  readonly flags: number;
  /** The question as it came, with upper and lower case in its name, which the answer has to repeat. */
  readonly question: Buffer;
  /** Lower case, no dot at the end; bytes that are not printable, dots and backslashes as `\DDD` (RFC 1035 section 5.1). */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where there is an OPT record. */
  readonly edns: Edns | undefined;
}

/** What a client says of itself (RFC 6891 section 6.1.3). */
export interface Edns {
  /** The longest datagram that it takes. */
  readonly payloadBytes: number;
  readonly version: number;
  /** DO: it wants the records of DNSSEC. */
  readonly wantsDnssec: boolean;
}

/** DO among the flags of OPT. */
export const DNSSEC_OK = 0x8000;

/** RFC 1035 section 2.3.4. */
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

const QUESTION_TAIL_BYTES = 2 + 2;

/**
 * Reads a query.
 *
 * @returns the RCODE to answer with if it cannot be answered; undefined if nobody is to be answered at all: it is an answer
 *   itself, or too short to have an id.
 */
export function readQuery(message: Buffer): DnsQuery | number | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & Flag.QR) !== 0) return undefined;
  if ((flags & Flag.OPCODE) !== 0) return Rcode.NOTIMP;
  if (message.readUInt16BE(4) !== 1) return Rcode.FORMERR;
  const name = readName(message, HEADER_BYTES);
  if (name === undefined || name.end + QUESTION_TAIL_BYTES > message.length) return Rcode.FORMERR;
  const end = name.end + QUESTION_TAIL_BYTES;
  try {
    const opts = walkRecords(message, end).filter(({ type }) => type === Type.OPT);
    if (opts.length > 1) return Rcode.FORMERR; // RFC 6891 section 6.1.1
    return {
      id: message.readUInt16BE(0),
      flags,
      question: Buffer.from(message.subarray(HEADER_BYTES, end)),
      name: name.text,
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      edns: opts[0] && readEdns(message, opts[0]),
    };
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return Rcode.FORMERR;
  }
}

function readEdns(message: Buffer, { at, fields }: RecordPlace): Edns {
  if (message[at] !== 0) throw new MalformedMessage('OPT has a name');
  // In the place of class and TTL: payload u16, extended RCODE u8, version u8, flags u16.
  return {
    payloadBytes: message.readUInt16BE(fields + 2),
    version: message[fields + 5]!,
    wantsDnssec: (message.readUInt16BE(fields + 6) & DNSSEC_OK) !== 0,
  };
}

/** @returns undefined for what is no name: cut off, too long, or with pointers, for which a question has no use. */
function readName(message: Buffer, at: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let cursor = at;
  for (;;) {
    const length = message[cursor];
    if (length === undefined || length > MAX_LABEL_BYTES) return undefined;
    const end = cursor + 1 + length;
    if (end - at > MAX_NAME_BYTES || end > message.length) return undefined;
    if (length === 0) return { text: labels.join('.'), end };
    const label = message.toString('latin1', cursor + 1, end);
    labels.push(label.replace(UPPER_CASE, lowerCase).replace(UNPLAIN, escaped));
    cursor = end;
  }
}

/** What would be read as something else, or breaks a line of a log. */
const UNPLAIN = /[^\x21-\x7e]|[.\\]/g;

function escaped(character: string): string {
  return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`;
}

/** What is the same for all who want the same answer: the question without regard to case, and what they want of it. */
export function queryKey({ question, flags, type, class: class_, edns }: DnsQuery): string {
  const name = question.toString('latin1', 0, question.length - QUESTION_TAIL_BYTES);
  const wants = (flags & WANTS) | (edns?.wantsDnssec ? Flag.QR : 0);
  // Lengths of labels are below the letters, and so they are not changed.
  return name.replace(UPPER_CASE, lowerCase) + String.fromCharCode(type, class_, wants);
}

/** Of ASCII alone, which is all that DNS takes for the same (RFC 4343). */
const UPPER_CASE = /[A-Z]+/g;

function lowerCase(letters: string): string {
  return letters.toLowerCase();
}

/** Flags that change the answer; the query goes on with them. */
export const WANTS = Flag.RD | Flag.AD | Flag.CD;
