import type { Address } from '@podsocks/shared/dns/address';
import { failureOf, type ResolveFailure } from '../resolver/failure.ts';
import type { Resolver } from '../resolver/resolver.ts';

/** Why a name has no address now. */
export type NameFailure = 'name' | 'busy';

/** Addresses, at least one, in the order to be tried. */
type Found = readonly Address[] | NameFailure;

/** A name that is being looked up. */
interface Asked {
  readonly answer: Promise<Found>;
  /** Who wanted it first. */
  readonly user: string;
}

/** The names in datagrams, each of which carries its target. */
export class TargetNames {
  readonly #resolver: Pick<Resolver, 'known' | 'resolve'>;
  readonly #family: 4 | 6 | undefined;
  readonly #most: number;
  readonly #asked = new Map<string, Asked>();

  /**
   * @param family where only one family can be left from; else the resolver's order counts.
   * @param most names that are asked for at a time: few enough that those of TCP connections always get their turn. One user
   *   gets half of it, so that one who asks for names that nobody has does not keep all others from theirs.
   */
  constructor(resolver: Pick<Resolver, 'known' | 'resolve'>, family: 4 | 6 | undefined, most: number) {
    this.#resolver = resolver;
    this.#family = family;
    this.#most = most;
  }

  /**
   * The addresses, at once where they are known; never rejects.
   *
   * @param user who wants them.
   */
  find(name: string, user: string): Found | Promise<Found> {
    const known = this.#resolver.known(name, this.#family);
    if (typeof known === 'string') return nameFailure(known);
    if (known !== undefined) return known;
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked.answer;
    if (this.#asked.size >= this.#most || this.#askedBy(user) >= Math.ceil(this.#most / 2)) return 'busy';
    const answer = this.#ask(name);
    this.#asked.set(name, { answer, user });
    return answer;
  }

  #askedBy(user: string): number {
    let count = 0;
    for (const asked of this.#asked.values()) if (asked.user === user) count++;
    return count;
  }

  async #ask(name: string): Promise<Found> {
    try {
      return await this.#resolver.resolve(name, this.#family);
    } catch (error) {
      return nameFailure(failureOf(error));
    } finally {
      this.#asked.delete(name);
    }
  }
}

function nameFailure(failure: ResolveFailure | undefined): NameFailure {
  return failure === 'busy' ? 'busy' : 'name';
}
