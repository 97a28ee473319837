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

/** The resolver does not say how long its answers are good; cluster DNS says 5 s to 30 s. */
const FOUND_MS = 10_000;
const NOT_FOUND_MS = 2_000;

/** Each of some 100 bytes. */
const MOST_NAMES = 4096;

/** Half of what the process can look up at a time (bin/), so that the names of TCP connections always get their turn. */
const MOST_AT_A_TIME = 8;

/** The names in datagrams, each of which carries its target: so answers are kept for a moment. */
export class TargetNames {
  readonly #options: TargetNamesOptions;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<Address | NameFailure>>();

  constructor(options: TargetNamesOptions) {
    this.#options = options;
  }

  /** The address, at once where it is known; never rejects. */
  find(name: string): Address | NameFailure | Promise<Address | NameFailure> {
    const known = this.#known.get(name);
    if (known !== undefined && known.until > this.#options.now()) return known.found ?? 'name';
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked;
    if (this.#asked.size >= MOST_AT_A_TIME) return 'busy';
    const answer = this.#ask(name);
    this.#asked.set(name, answer);
    return answer;
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
