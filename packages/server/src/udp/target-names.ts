import type { LookupFunction } from 'node:net';

/** An address that a name stands for. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Why a name has no address now. */
export type NameFailure = 'name' | 'busy';

export interface TargetNamesOptions {
  readonly lookup: LookupFunction;
  /** Where only one family can be left from; else the resolver's first address, whatever it is. */
  readonly family: 4 | 6 | undefined;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

interface Known {
  readonly found: Address | undefined;
  readonly until: number;
}

/** A name that is being looked up. */
interface Asked {
  readonly answer: Promise<Address | NameFailure>;
  /** Who wanted it first. */
  readonly user: string;
}

/** The resolver does not say how long its answers are good; cluster DNS says 5 s to 30 s. */
const FOUND_MS = 10_000;
const NOT_FOUND_MS = 2_000;

/** Each of some 100 bytes. */
const MOST_NAMES = 4096;

/** Half of what the process can look up at a time (bin/), so that the names of TCP connections always get their turn. */
const MOST_AT_A_TIME = 8;

/** So that one who asks for names that nobody has does not keep all others from theirs. */
const MOST_FOR_A_USER = MOST_AT_A_TIME / 2;

/** The names in datagrams, each of which carries its target: so answers are kept for a moment. */
export class TargetNames {
  readonly #options: TargetNamesOptions;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Asked>();

  constructor(options: TargetNamesOptions) {
    this.#options = options;
  }

  /**
   * The address, at once where it is known; never rejects.
   *
   * @param user who wants it.
   */
  find(name: string, user: string): Address | NameFailure | Promise<Address | NameFailure> {
    const known = this.#known.get(name);
    if (known !== undefined && known.until > this.#options.now()) return known.found ?? 'name';
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked.answer;
    if (this.#asked.size >= MOST_AT_A_TIME || this.#askedBy(user) >= MOST_FOR_A_USER) return 'busy';
    const answer = this.#ask(name);
    this.#asked.set(name, { answer, user });
    return answer;
  }

  #askedBy(user: string): number {
    let count = 0;
    for (const asked of this.#asked.values()) if (asked.user === user) count++;
    return count;
  }

  #ask(name: string): Promise<Address | NameFailure> {
    const { lookup, family, now } = this.#options;
    return new Promise(resolve => {
      lookup(name, { all: true, ...(family && { family }) }, (error, addresses) => {
        this.#asked.delete(name);
        const [first] = error ? [] : (addresses as { address: string; family: number }[]);
        const found = first && { address: first.address, family: first.family === 6 ? (6 as const) : (4 as const) };
        this.#known.delete(name); // so that it becomes the youngest
        this.#known.set(name, { found, until: now() + (found ? FOUND_MS : NOT_FOUND_MS) });
        if (this.#known.size > MOST_NAMES) this.#known.delete(this.#known.keys().next().value!);
        resolve(found ?? 'name');
      });
    });
  }
}
