/*
 * A message of DNS (RFC 1035 section 4.1):
 *
 *   +----+-------+---------+---------+---------+---------+----------+---------+------------+-------------+
 *   | id | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | question | answers | authorities | additionals |
 *   +----+-------+---------+---------+---------+---------+----------+---------+------------+-------------+
 *     2      2        2         2         2         2
 *
 * A record:  name | type 2 | class 2 | TTL 4 | RDLENGTH 2 | data
 */

export const HEADER_BYTES = 12;

/** TYPE values (RFC 1035 section 3.2.2, RFC 3596, RFC 2782, RFC 6891). */
export const Type = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41 } as const;

/** CLASS IN. */
export const CLASS_IN = 1;

/** Where a record lies in its message. */
export interface RecordPlace {
  readonly section: 'answers' | 'authorities' | 'additionals';
  readonly type: number;
  readonly class: number;
  /** From its first byte to the one after its last. */
  readonly at: number;
  readonly end: number;
  /** Its type, behind its name. */
  readonly fields: number;
}

/** From the type of a record to its TTL, and to its data. */
export const TTL_AFTER = 2 + 2;
export const DATA_AFTER = TTL_AFTER + 4 + 2;

/**
 * Labels and jumps of all names together. The 4000 addresses that fit 64 KiB, of a name with 20 labels, have 80 000; as many
 * names of 125 labels, each of which is a jump away from the next, would take 0.15 s to read, and chains of jumps 0.5 s.
 */
const MAX_STEPS = 128 * 1024;

/** The shortest record: the root's name, and no data. */
const RECORD_MIN_BYTES = 1 + DATA_AFTER;

/** Where the names are in the data of those types that are read. */
const NAMES_IN_DATA = new Map<number, { readonly after: number; readonly count: number }>([
  [Type.NS, { after: 0, count: 1 }],
  [Type.CNAME, { after: 0, count: 1 }],
  [Type.SOA, { after: 0, count: 2 }],
  [Type.PTR, { after: 0, count: 1 }],
  [Type.MX, { after: 2, count: 1 }],
  [Type.SRV, { after: 6, count: 1 }],
]);

/** The message cannot be what it says. */
export class MalformedMessage extends Error {}

/**
 * Finds the records of a message, and follows all names in them, before dns-packet reads each: dns-packet does not look at
 * RDLENGTH, makes arrays as long as the counts say, and follows chains of pointers however long: a message of 64 KiB, which
 * any server may send over TCP, keeps it for 0.5 s.
 *
 * @param at where the records begin, after the question.
 * @throws MalformedMessage.
 */
export function walkRecords(message: Buffer, at: number): RecordPlace[] {
  const counts = { answers: 6, authorities: 8, additionals: 10 } as const;
  const places: RecordPlace[] = [];
  const names = new Names(message);
  let cursor = at;
  for (const section of ['answers', 'authorities', 'additionals'] as const) {
    const count = message.readUInt16BE(counts[section]);
    if (count * RECORD_MIN_BYTES > message.length - cursor) throw new MalformedMessage('fewer records than it counts');
    for (let i = 0; i < count; i++) {
      const place = recordAt(message, names, cursor, section);
      places.push(place);
      cursor = place.end;
    }
  }
  return places;
}

function recordAt(message: Buffer, names: Names, at: number, section: RecordPlace['section']): RecordPlace {
  const fields = names.end(at);
  const data = fields + DATA_AFTER;
  if (data > message.length) throw new MalformedMessage('it ends inside a record');
  const type = message.readUInt16BE(fields);
  const end = data + message.readUInt16BE(fields + 8);
  if (end > message.length) throw new MalformedMessage('it ends inside a record');
  const { after = 0, count = 0 } = NAMES_IN_DATA.get(type) ?? {};
  let cursor = data + after;
  for (let i = 0; i < count; i++) cursor = names.end(cursor);
  return { section, type, class: message.readUInt16BE(fields + 2), at, end, fields };
}

/** The names of a message, which are followed but not read. */
class Names {
  readonly #message: Buffer;
  #steps = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  /** Where the name at a place ends, after it was followed to the root. */
  end(at: number): number {
    const message = this.#message;
    let cursor = at;
    let end: number | undefined;
    let before = at;
    for (;;) {
      const length = message[cursor];
      if (length === undefined) throw new MalformedMessage('it ends inside a name');
      if (length === 0) return end ?? cursor + 1;
      if (++this.#steps > MAX_STEPS) throw new MalformedMessage('more names than a message needs');
      if (length < 0x40) cursor += 1 + length;
      else {
        const low = message[cursor + 1];
        if (length < 0xc0 || low === undefined) throw new MalformedMessage('a label of no known kind');
        const target = ((length & 0x3f) << 8) | low;
        // To something before it (RFC 1035 section 4.1.4), so there are no loops.
        if (target >= before) throw new MalformedMessage('a name that points around');
        end ??= cursor + 2;
        before = target;
        cursor = target;
      }
    }
  }
}
