import { Flag } from '@podsocks/shared/dns/answer-match';
import { Rcode } from '@podsocks/shared/dns/rcode';
import { CLASS_IN, HEADER_BYTES, Type } from '@podsocks/shared/dns/record-walk';
import { DNSSEC_OK, type DnsQuery, WANTS } from './query.ts';

/** What no fragment is needed for on any path (DNS flag day 2020). */
const PAYLOAD_BYTES = 1232;

/** Without EDNS0 (RFC 1035 section 4.2.1), and the least with it (RFC 6891 section 6.2.5). */
const LEAST_DATAGRAM_BYTES = 512;

/** Beyond it, TCP is better. */
const MOST_DATAGRAM_BYTES = 4096;

export const OPT_BYTES = 1 + 2 + 2 + 4 + 2;

/** How long an answer to a query may be that came in a datagram. */
export function datagramLimit({ edns }: DnsQuery): number {
  return Math.min(Math.max(edns?.payloadBytes ?? 0, LEAST_DATAGRAM_BYTES), MOST_DATAGRAM_BYTES);
}

/** INFO-CODEs of extended errors (RFC 8914 section 4). */
export const InfoCode = { notReady: 14, prohibited: 18, noReachableAuthority: 22 } as const;

/** Why there is no answer, for people who look at it with dig. */
export interface Explanation {
  readonly code: (typeof InfoCode)[keyof typeof InfoCode];
  readonly text: string;
}

/** More would be of no use. */
const MAX_EXPLANATION_BYTES = 200;

const EXTENDED_ERROR = 15;

/** An answer of ss-local's own. */
export interface OwnReply {
  readonly rcode: number;
  /** A record of the name that was asked for. */
  readonly record?: { readonly type: number; readonly ttl: number; readonly data: Uint8Array };
  readonly explanation?: Explanation;
}

/** Writes it; always short enough for a datagram. */
export function encodeReply(query: DnsQuery, { rcode, record, explanation }: OwnReply): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(Flag.QR | Flag.RA | (query.flags & (Flag.RD | Flag.CD)) | (rcode & Flag.RCODE), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(record ? 1 : 0, 6);
  header.writeUInt16BE(query.edns ? 1 : 0, 10);
  const parts: Uint8Array[] = [header, query.question];
  if (record) parts.push(encodeRecord(record));
  if (query.edns) parts.push(encodeOpt(query.edns.wantsDnssec, rcode, explanation));
  return Buffer.concat(parts);
}

/** The reply to a message of which no more than the header can be repeated. */
export function encodeHeaderReply(message: Buffer, rcode: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(message.readUInt16BE(0), 0);
  header.writeUInt16BE(Flag.QR | (message.readUInt16BE(2) & (Flag.OPCODE | Flag.RD)) | rcode, 2);
  return header;
}

/** The query as it goes to another server: the same question, in a message of our own. */
export function encodeForwarded(query: DnsQuery, id: number, { withEdns }: { readonly withEdns: boolean }): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(query.flags & WANTS, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(withEdns ? 1 : 0, 10);
  const wantsDnssec = query.edns?.wantsDnssec ?? false;
  return Buffer.concat([header, query.question, ...(withEdns ? [encodeOpt(wantsDnssec)] : [])]);
}

/** OPT, which speaks of this hop alone: what others said in theirs is not passed on (RFC 6891 section 6.2.6). */
export function encodeOpt(wantsDnssec: boolean, rcode: number = Rcode.NOERROR, explanation?: Explanation): Buffer {
  const text = Buffer.from(explanation?.text ?? '').subarray(0, MAX_EXPLANATION_BYTES);
  const optionBytes = explanation ? 2 + text.length : 0;
  const opt = Buffer.alloc(OPT_BYTES + (explanation ? 4 + optionBytes : 0));
  opt.writeUInt16BE(Type.OPT, 1);
  opt.writeUInt16BE(PAYLOAD_BYTES, 3);
  opt.writeUInt8(rcode >> 4, 5);
  opt.writeUInt16BE(wantsDnssec ? DNSSEC_OK : 0, 7);
  if (explanation) {
    opt.writeUInt16BE(4 + optionBytes, 9);
    opt.writeUInt16BE(EXTENDED_ERROR, OPT_BYTES);
    opt.writeUInt16BE(optionBytes, OPT_BYTES + 2);
    opt.writeUInt16BE(explanation.code, OPT_BYTES + 4);
    text.copy(opt, OPT_BYTES + 6);
  }
  return opt;
}

/** @param name as `--map` has it: labels of 1 to 63 bytes. */
export function encodeName(name: string): Buffer {
  const labels = name.split('.').map(label => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.alloc(1)]);
}

/** A pointer to the question's name, which follows the header. */
const POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES;

function encodeRecord({ type, ttl, data }: NonNullable<OwnReply['record']>): Buffer {
  const record = Buffer.alloc(2 + 2 + 2 + 4 + 2 + data.length);
  record.writeUInt16BE(POINTER_TO_QUESTION, 0);
  record.writeUInt16BE(type, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(ttl, 6);
  record.writeUInt16BE(data.length, 10);
  record.set(data, 12);
  return record;
}
