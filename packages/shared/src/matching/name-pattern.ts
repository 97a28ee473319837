import { parseName } from '../dns/dns-name.ts';
import { PodsocksError } from '../runtime/errors.ts';

/** Which names a rule means. */
export type NamePattern =
  /** This one. */
  | { readonly kind: 'name'; readonly name: string }
  /** All below it, at any depth, and not itself. */
  | { readonly kind: 'below'; readonly name: string }
  /** Whatever was asked for by name. */
  | { readonly kind: 'any' }
  /** What the expression finds a match in: from access control lists. */
  | { readonly kind: 'expression'; readonly expression: RegExp };

/** What getaddrinfo takes for an address although none looks like it: `2130706433`, `127.1`, `0x7f.1`, `0177.0.0.1`. */
const ENDS_IN_A_NUMBER = /(?:^|\.)(?:\d+|0x[\da-f]*)$/;

/**
 * A name in the one spelling that patterns are matched with: in lower case, without the trailing dot.
 *
 * @returns undefined for what is no name of DNS: other characters than letters, digits, `-` and `_` (some of which resolvers
 *   map to ASCII, so that two spellings mean one name), labels of none or more than 63, more than 253 in all, an address,
 *   or what ends in a number, which no top-level domain is.
 */
export function readName(text: string): string | undefined {
  const name = parseName(text)?.text;
  return name === undefined || ENDS_IN_A_NUMBER.test(name) ? undefined : name;
}

/**
 * Reads `db.payments.svc.cluster.local` (that name), `*.svc.cluster.local` (all below it, at any depth: also
 * `db.payments.svc.cluster.local`, but not `svc.cluster.local`) or `*` (all names). Case and a trailing dot do not matter.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseNamePattern(text: string): NamePattern {
  if (text === '*') return { kind: 'any' };
  const isBelow = text.startsWith('*.');
  const name = readName(isBelow ? text.slice(2) : text);
  if (name !== undefined) return { kind: isBelow ? 'below' : 'name', name };
  throw new PodsocksError(
    'ERR_CONFIG',
    `${JSON.stringify(text.slice(0, 60))} is neither a network nor a name; write 10.0.0.0/8, db.example.com, or ` +
      '*.example.com for all below it (a star stands alone at the beginning, other characters as punycode)',
  );
}

/** So many are asked one after the other, which is faster than to look up each end of a name. */
const FEW = 8;

/** Many patterns as one set. */
export class NameSet {
  readonly #names: ReadonlySet<string>;
  /** How names below another end, the dot included; once as a list, once to look up. */
  readonly #ends: readonly string[];
  readonly #manyEnds: ReadonlySet<string>;
  readonly #expressions: readonly RegExp[];
  readonly #all: boolean;
  /** A name is asked about for each of its addresses, and each of its datagrams; long lists of expressions take milliseconds. */
  #last = { name: '', has: false };

  constructor(patterns: readonly NamePattern[]) {
    this.#names = new Set(patterns.flatMap(pattern => (pattern.kind === 'name' ? [pattern.name] : [])));
    this.#ends = patterns.flatMap(pattern => (pattern.kind === 'below' ? [`.${pattern.name}`] : []));
    this.#manyEnds = new Set(this.#ends);
    this.#expressions = patterns.flatMap(pattern => (pattern.kind === 'expression' ? [pattern.expression] : []));
    this.#all = patterns.some(({ kind }) => kind === 'any');
  }

  /** @param name as {@link readName} spells it. */
  has(name: string): boolean {
    if (name !== this.#last.name) this.#last = { name, has: this.#find(name) };
    return this.#last.has;
  }

  #find(name: string): boolean {
    if (this.#all || (this.#names.size > 0 && this.#names.has(name)) || this.#isBelow(name)) return true;
    for (const expression of this.#expressions) if (expression.test(name)) return true;
    return false;
  }

  #isBelow(name: string): boolean {
    if (this.#ends.length <= FEW) {
      for (const end of this.#ends) if (name.endsWith(end)) return true;
      return false;
    }
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      if (this.#manyEnds.has(name.slice(dot))) return true;
    }
    return false;
  }
}
