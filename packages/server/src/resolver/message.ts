import { Flag, matchAnswer } from '@podsocks/shared/dns/answer-match';
import { Rcode } from '@podsocks/shared/dns/rcode';
import {
  CLASS_IN,
  HEADER_BYTES,
  MalformedMessage,
  type RecordPlace,
  Type,
  walkRecords,
} from '@podsocks/shared/dns/record-walk';
import * as dnsPacket from 'dns-packet';

export { MalformedMessage };

declare module 'dns-packet' {
  /** One record; exported, but not in @types/dns-packet. */
  const answer: { decode: ((message: Buffer, at: number) => dnsPacket.Answer) & { bytes: number } };
}

/** What can be asked for. */
export type QueryType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'NS' | 'PTR' | 'SOA' | 'SRV' | 'TXT';

export interface Question {
  /** Lower case, without a trailing dot. */
  readonly name: string;
  readonly type: QueryType;
}

/** A question as it goes out. */
export interface Query {
  readonly question: Question;
  readonly bytes: Buffer;
}

/** A resource record of class IN. */
export interface ResourceRecord {
  /** Lower case. */
  readonly name: string;
  readonly type: QueryType;
  /** Seconds. */
  readonly ttl: number;
  /** As dns-packet has it: a string for A, AAAA, CNAME, NS and PTR, an object or buffers for the others. */
  readonly data: unknown;
}

/** The answer to a question. */
export interface DnsAnswer {
  /** RCODE with the bits of EDNS0: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, … */
  readonly rcode: number;
  /** It knows nothing itself, and does not look for it either (neither AA nor RA): for the next server to answer. */
  readonly isLame: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

/** What no fragment is needed for on any path (DNS flag day 2020). */
const UDP_PAYLOAD_BYTES = 1232;

const OPT: dnsPacket.OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: UDP_PAYLOAD_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** After OPT's name, which is the root's, type and class: its TTL is extended RCODE u8, version u8, flags u16. */
const OPT_RCODE_AT = 1 + 2 + 2;

/**
 * A query that wants recursion.
 *
 * @param id random, 0..65535.
 * @param edns with EDNS0 (RFC 6891), so that answers of more than 512 bytes come by UDP.
 */
export function encodeQuery(question: Question, id: number, { edns }: { readonly edns: boolean }): Query {
  const bytes = dnsPacket.encode({
    type: 'query',
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ ...question, class: 'IN' }],
    additionals: edns ? [OPT] : [],
  });
  return { question, bytes };
}

/**
 * Reads what came for a query.
 *
 * @returns `foreign` for what does not answer this query: another id or question, or no answer at all. Whoever sent it does
 *   not know the query, so it says nothing about the server. `truncated`: it is to be asked by TCP.
 */
export function decodeAnswer(message: Buffer, query: Query): DnsAnswer | 'foreign' | 'truncated' | MalformedMessage {
  const questionEnd = HEADER_BYTES + questionBytes(query);
  const match = matchAnswer(message, query.bytes, questionEnd);
  if (match === 'foreign' || match === 'truncated') return match;
  const flags = message.readUInt16BE(2);
  const rcode = flags & Flag.RCODE;
  if (match === 'bare') return { rcode, ...NOTHING };
  try {
    const places = walkRecords(message, questionEnd);
    const opt = places.find(({ type, section }) => type === Type.OPT && section === 'additionals');
    const answers = recordsOf(message, places, 'answers');
    return {
      rcode: rcode | (opt === undefined ? 0 : extendedRcode(message, opt)),
      isLame: rcode === Rcode.NOERROR && answers.length === 0 && (flags & (Flag.AA | Flag.RA)) === 0,
      answers,
      authorities: recordsOf(message, places, 'authorities'),
      additionals: recordsOf(message, places, 'additionals'),
    };
  } catch (error) {
    return error instanceof MalformedMessage ? error : new MalformedMessage((error as Error).message);
  }
}

/** The eight upper bits of the RCODE, in their place (RFC 6891 section 6.1.3). */
function extendedRcode(message: Buffer, { at }: RecordPlace): number {
  if (message[at] !== 0) throw new MalformedMessage('OPT has a name');
  return message[at + OPT_RCODE_AT]! << 4;
}

const NOTHING = { isLame: false, answers: [], authorities: [], additionals: [] } as const;

/** Name, type and class; names of queries are not compressed. */
function questionBytes({ question: { name } }: Query): number {
  return name.length + 2 + 4;
}

const READ: ReadonlyMap<number, QueryType> = new Map(
  (['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const).map(type => [Type[type], type]),
);

function recordsOf(message: Buffer, places: readonly RecordPlace[], wanted: RecordPlace['section']): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (const { section, type, class: class_, at, end } of places) {
    const known = READ.get(type);
    if (section !== wanted || known === undefined || class_ !== CLASS_IN) continue;
    const { name, ttl = 0, data } = dnsPacket.answer.decode(message, at) as dnsPacket.StringAnswer;
    if (dnsPacket.answer.decode.bytes !== end - at) throw new MalformedMessage('a record has another length');
    // RFC 2181 section 8: with the highest bit it means none.
    records.push({ name: name.toLowerCase(), type: known, ttl: ttl > 0x7fffffff ? 0 : ttl, data });
  }
  return records;
}
