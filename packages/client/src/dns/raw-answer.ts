import { Flag, matchAnswer } from '@podsocks/shared/dns/answer-match';
import type { Read } from '@podsocks/shared/dns/exchange';
import { Rcode } from '@podsocks/shared/dns/rcode';
import {
  DATA_AFTER,
  HEADER_BYTES,
  MalformedMessage,
  type RecordPlace,
  TTL_AFTER,
  Type,
  walkRecords,
} from '@podsocks/shared/dns/record-walk';
import type { DnsQuery } from './query.ts';
import { encodeOpt, OPT_BYTES } from './reply.ts';

/** The answer of another server, of whatever type its records are, as it can be passed on. */
export interface RawAnswer {
  /** Header, question and records, without OPT and what stands behind it. */
  readonly message: Buffer;
  /** With the bits of EDNS0; only those without can be passed on. */
  readonly rcode: number;
  /** Of each record: where its TTL is, and where it ends. */
  readonly ttlsAt: Uint16Array;
  readonly ends: Uint16Array;
  /** How many seconds it may be remembered; 0: not at all. */
  readonly ttl: number;
}

/** Clusters change within seconds, and what does not is asked again soon enough. */
const FOUND_MOST_S = 300;
const MISSING_MOST_S = 30;

/** RFC 9520 section 3.2: so that a server that fails is not asked by everybody anew. */
const FAILED_S = 1;

/** SERIAL, REFRESH, RETRY, EXPIRE and MINIMUM, behind two names. */
const SOA_MIN_BYTES = 1 + 1 + 5 * 4;

/** @param query the message that was sent, with this question. */
export function readAnswer(message: Buffer, query: Buffer, { question }: DnsQuery): Read<RawAnswer> {
  const questionEnd = HEADER_BYTES + question.length;
  const match = matchAnswer(message, query, questionEnd);
  if (match === 'foreign' || match === 'truncated') return match;
  const rcode = message.readUInt16BE(2) & Flag.RCODE;
  if (match === 'bare') return answerOf(Buffer.concat([message, question]), rcode, []);
  try {
    const places = walkRecords(message, questionEnd);
    const opt = places.find(({ type, section }) => type === Type.OPT && section === 'additionals');
    if (opt === undefined) return answerOf(Buffer.from(message), rcode, places);
    const extended = rcode | (message[opt.fields + TTL_AFTER]! << 4);
    return answerOf(Buffer.from(message.subarray(0, opt.at)), extended, places.slice(0, places.indexOf(opt)));
  } catch (error) {
    if (error instanceof MalformedMessage) return error;
    throw error;
  }
}

function answerOf(message: Buffer, rcode: number, places: readonly RecordPlace[]): RawAnswer {
  message.writeUInt16BE(1, 4);
  writeCounts(message, places);
  return {
    message: message.subarray(0, places.at(-1)?.end),
    rcode,
    ttlsAt: Uint16Array.from(places, ({ fields }) => fields + TTL_AFTER),
    ends: Uint16Array.from(places, ({ end }) => end),
    ttl: lifetime(message, rcode, places),
  };
}

function writeCounts(message: Buffer, places: readonly RecordPlace[]): void {
  for (const [at, section] of [
    [6, 'answers'],
    [8, 'authorities'],
    [10, 'additionals'],
  ] as const) {
    message.writeUInt16BE(places.filter(place => place.section === section).length, at);
  }
}

function lifetime(message: Buffer, rcode: number, places: readonly RecordPlace[]): number {
  if (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN) return FAILED_S;
  const answers = places.filter(({ section }) => section === 'answers');
  const found = answers.length > 0 ? Math.min(...answers.map(({ fields }) => ttlAt(message, fields + TTL_AFTER))) : 0;
  // RFC 2308 section 5: the lesser of the SOA's own TTL and its MINIMUM field, which is its last.
  const soa = places.find(({ section, type }) => section === 'authorities' && type === Type.SOA);
  if (soa === undefined) return rcode === Rcode.NOERROR ? Math.min(found, FOUND_MOST_S) : 0;
  if (soa.end - soa.fields - DATA_AFTER < SOA_MIN_BYTES) throw new MalformedMessage('a SOA record is too short');
  const missing = Math.min(ttlAt(message, soa.fields + TTL_AFTER), ttlAt(message, soa.end - 4), MISSING_MOST_S);
  return answers.length > 0 ? Math.min(found, missing) : missing;
}

/** RFC 2181 section 8: with the highest bit it means none. */
function ttlAt(message: Buffer, at: number): number {
  const ttl = message.readUInt32BE(at);
  return ttl > 0x7fffffff ? 0 : ttl;
}

/**
 * The answer for one who asks.
 *
 * @param age seconds since it came; the TTLs are less by that.
 * @param limit bytes that it may have. Records that do not fit are left out; if one of those was asked for, or says that there
 *   is none, TC tells to ask by TCP (RFC 2181 section 9).
 */
export function answerFor(query: DnsQuery, answer: RawAnswer, age: number, limit: number): Buffer {
  const { message, ttlsAt, ends } = answer;
  const questionEnd = HEADER_BYTES + query.question.length;
  const optBytes = query.edns ? OPT_BYTES : 0;
  let kept = ends.length;
  while (kept > 0 && ends[kept - 1]! + optBytes > limit) kept--;
  const end = kept > 0 ? ends[kept - 1]! : questionEnd;
  const answers = message.readUInt16BE(6);
  const authorities = message.readUInt16BE(8);
  const needed = answers > 0 ? answers : authorities;

  const out = Buffer.allocUnsafe(end + optBytes);
  message.copy(out, 0, 0, end);
  query.question.copy(out, HEADER_BYTES);
  out.writeUInt16BE(query.id, 0);
  // Not AA: whoever passes it on is no authority.
  const passed = message.readUInt16BE(2) & Flag.AD;
  const own = Flag.QR | Flag.RA | (query.flags & (Flag.RD | Flag.CD)) | (kept < needed ? Flag.TC : 0);
  out.writeUInt16BE(passed | own | (answer.rcode & Flag.RCODE), 2);
  const keptAnswers = Math.min(kept, answers);
  const keptAuthorities = Math.min(kept - keptAnswers, authorities);
  out.writeUInt16BE(keptAnswers, 6);
  out.writeUInt16BE(keptAuthorities, 8);
  out.writeUInt16BE(kept - keptAnswers - keptAuthorities + (query.edns ? 1 : 0), 10);
  for (let i = 0; i < kept; i++) {
    const at = ttlsAt[i]!;
    out.writeUInt32BE(Math.max(ttlAt(message, at) - age, 0), at);
  }
  if (query.edns) encodeOpt(query.edns.wantsDnssec).copy(out, end);
  return out;
}
