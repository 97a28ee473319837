import { embeddedIpv4, readAddress } from '@podsocks/shared/matching/ip-address';
import { readName } from '@podsocks/shared/matching/name-pattern';
import { type Network, parseNetwork } from '@podsocks/shared/matching/network';
import { builtInGuard, type Guard, OWN_LISTENER } from './built-in.ts';
import type { OwnListeners } from './own-listeners.ts';
import { CompiledRule, type Mismatch, type Packet, type PolicyRule, type Protocol } from './rule.ts';
import { denial, type Verdict } from './verdict.ts';

export type Action = 'allow' | 'deny';

/** Where somebody wants to go, before it was resolved. */
export interface NamedDestination {
  readonly user: string;
  readonly protocol: Protocol;
  /** As the client asked, and once it is resolved as the search list completed it; undefined where an address was given. */
  readonly name: string | undefined;
  readonly port: number;
}

/** Where a connection or datagram is about to go. */
export interface Destination extends NamedDestination {
  /** The very address that is dialled or sent to, of those that the name was resolved to just now. */
  readonly address: string;
}

export interface PolicyOptions {
  readonly rules: readonly PolicyRule[];
  readonly default: Action;
  /** Who is in which groups; others are in none. */
  readonly users: readonly { readonly name: string; readonly groups?: readonly string[] }[];
  readonly own: OwnListeners;
}

/** A rule that was looked at, and what of it did not hold; the last one applied where nothing is said. */
export interface Step {
  readonly rule: PolicyRule;
  readonly mismatch: Mismatch | undefined;
}

/**
 * Who may go where.
 *
 * **Order.** The first rule that applies decides; if none does, the default. A rule applies when all that it has holds.
 *
 * **The address decides.** A verdict is about one address, and must be asked for the one that is dialled, every time. A name
 * in a rule holds for the addresses that this connection's look-up gave, and for no other connection: who may go to
 * `db.example.com` may not go to its address without the name. So a rule that *denies* a name is no protection: the same
 * place can be asked for by address, or by another name; deny its network. And who writes a zone decides where its names lead:
 * to allow a zone of others, give `within` too, or deny your own networks before.
 *
 * **Built in.** Loopback, link-local, cloud metadata, multicast, broadcast, unspecified ({@link builtInGuard}), and the
 * server's own listeners are denied when no rule says otherwise, whatever the default is. An allow rule applies to them only
 * if a network in its `to` lies within the denied one: `127.0.0.0/8` and `127.0.0.1` lift loopback; `0.0.0.0/0`, a name, or
 * a rule without `to` do not, and are passed over. A listener of the server is lifted by its address and its port, both
 * spelt out. Deny rules apply as everywhere.
 *
 * **Spellings.** IPv4-mapped IPv6 is IPv4, in addresses and in rules. Addresses that embed IPv4 for a gateway
 * ({@link embeddedIpv4}) need both verdicts: as they are, and as that IPv4 address. What is no address is denied. Names count
 * without case and trailing dot; one that cannot be a name of DNS is denied where a rule has names.
 */
export class Policy {
  readonly #rules: readonly CompiledRule[];
  /** For users whom some rule names: the rules that concern them. */
  #ofUser: ReadonlyMap<string, readonly CompiledRule[]>;
  readonly #ofOthers: readonly CompiledRule[];
  readonly #default: Verdict;
  readonly #hasNames: boolean;
  readonly #own: OwnListeners;
  #lastName: { readonly given: string; readonly spelt: string | undefined } = { given: '', spelt: undefined };

  constructor({ rules, default: action, users, own }: PolicyOptions) {
    this.#rules = rules.map(rule => new CompiledRule(rule));
    this.#ofOthers = this.#rules.filter(({ rule }) => rule.users === undefined && rule.groups === undefined);
    this.#ofUser = this.#rulesByUser(users);
    this.#default = Object.freeze({ allowed: action === 'allow', rule: 'default' });
    this.#hasNames = this.#rules.some(rule => rule.hasNames);
    this.#own = own;
  }

  /** Others are in groups now. What was decided before stays. */
  replaceUsers(users: PolicyOptions['users']): void {
    this.#ofUser = this.#rulesByUser(users);
  }

  #rulesByUser(users: PolicyOptions['users']): ReadonlyMap<string, readonly CompiledRule[]> {
    const isForAll = this.#ofOthers.length === this.#rules.length;
    return new Map(
      (isForAll ? [] : users).flatMap(({ name, groups = [] }) => {
        const mine = this.#rules.filter(rule => rule.concerns(name, groups));
        return mine.length === this.#ofOthers.length ? [] : [[name, mine]];
      }),
    );
  }

  /** Whether it may go there. Never throws. */
  evaluate(destination: Destination): Verdict {
    const { refusal, packet, embedded } = this.#read(destination);
    if (refusal !== undefined) return refusal;
    const rules = this.#rulesOf(destination.user);
    const verdict = this.#decide(rules, packet);
    return verdict.allowed && embedded !== undefined ? this.#decide(rules, embedded) : verdict;
  }

  /**
   * The verdict before a look-up, where it is the same for all addresses that the name could have: then nobody has to be
   * asked for them. It does not know the built-in denials, so what it allows still has to be evaluated.
   *
   * @returns a denial, or undefined where the address decides.
   */
  evaluateName({ user, protocol, name, port }: NamedDestination): Verdict | undefined {
    if (name === undefined) return undefined;
    const spelt = readName(name);
    if (spelt === undefined) return this.#hasNames ? NO_NAME : undefined;
    for (const rule of this.#rulesOf(user)) {
      const foresight = rule.foresee(protocol, spelt, port);
      if (foresight === 'never') continue;
      if (rule.verdict.allowed) return undefined;
      if (foresight === 'certainly') return rule.verdict;
    }
    return this.#default.allowed ? undefined : this.#default;
  }

  /**
   * As {@link evaluateName}, of a name as a client asks for it. Where rules have names, one without a trailing dot says
   * nothing yet: the search list may complete it.
   */
  evaluateAsked(named: NamedDestination): Verdict | undefined {
    const { name } = named;
    if (name === undefined || name.endsWith('.') || !this.#hasNames) return this.evaluateName(named);
    return readName(name) === undefined ? NO_NAME : undefined;
  }

  /**
   * Whether there is any use in looking a name up: not where {@link evaluateAsked} denies it for each port and protocol. For
   * those who ask for names without wanting to go there.
   */
  mayLookUp(user: string, name: string): boolean {
    const spelt = readName(name);
    if (spelt === undefined) return !this.#hasNames;
    if (this.#hasNames && !name.endsWith('.')) return true;
    for (const rule of this.#rulesOf(user)) {
      const foresight = rule.foreseeAnyPort(spelt);
      if (foresight === 'never') continue;
      if (rule.verdict.allowed) return true;
      if (foresight === 'certainly') return false;
    }
    return this.#default.allowed;
  }

  /** The networks that rules allow a user on some port at least, in the order of the rules, and so many at most. */
  allowedNetworks(user: string, most: number): Network[] {
    const networks: Network[] = [];
    for (const { rule } of this.#rulesOf(user)) {
      if (rule.action === 'allow') networks.push(...networksOf(rule).slice(0, most - networks.length));
    }
    return networks;
  }

  /** What becomes of all that no rule speaks of. */
  get default(): Action {
    return this.#default.allowed ? 'allow' : 'deny';
  }

  /** As {@link evaluate}, with all rules that were looked at, in order. */
  trace(destination: Destination): { readonly verdict: Verdict; readonly steps: readonly Step[] } {
    const { refusal, packet, embedded } = this.#read(destination);
    if (refusal !== undefined) return { verdict: refusal, steps: [] };
    const verdict = this.evaluate(destination);
    const rules = this.#rulesOf(destination.user);
    // Where there are two verdicts, the one that decided.
    const decisive = embedded !== undefined && this.#decide(rules, packet).allowed ? embedded : packet;
    const guard = this.#guard(decisive);
    const steps: Step[] = [];
    for (const compiled of this.#rules) {
      const mismatch = rules.includes(compiled) ? compiled.mismatch(decisive, guard) : 'user';
      steps.push({ rule: compiled.rule, mismatch });
      if (mismatch === undefined) break;
    }
    return { verdict, steps };
  }

  #rulesOf(user: string): readonly CompiledRule[] {
    return this.#ofUser.get(user) ?? this.#ofOthers;
  }

  #decide(rules: readonly CompiledRule[], packet: Packet): Verdict {
    const guard = this.#guard(packet);
    for (const rule of rules) if (rule.mismatch(packet, guard) === undefined) return rule.verdict;
    return guard?.verdict ?? this.#default;
  }

  #guard({ address, port }: Packet): Guard | undefined {
    return this.#own.has(address, port) ? OWN_LISTENER[address.family] : builtInGuard(address);
  }

  /** Datagrams ask by the same name again and again. */
  #spell(name: string): string | undefined {
    if (name !== this.#lastName.given) this.#lastName = { given: name, spelt: readName(name) };
    return this.#lastName.spelt;
  }

  #read({ protocol, name, address, port }: Destination): Read {
    const read = readAddress(address);
    if (read === undefined) return { refusal: NO_ADDRESS };
    const spelt = name !== undefined && this.#hasNames ? this.#spell(name) : undefined;
    if (spelt === undefined && name !== undefined && this.#hasNames) return { refusal: NO_NAME };
    const embedded = embeddedIpv4(read);
    return {
      packet: { protocol, name: spelt, address: read, port },
      embedded: embedded && { protocol, name: spelt, address: embedded, port },
    };
  }
}

/** Where a rule leads whatever is asked for: not by a name, which stands for addresses that nobody knows yet. */
function networksOf({ to, within }: PolicyRule): readonly Network[] {
  if (to === undefined) return within ?? EVERYWHERE;
  // What is in both lists cannot be said in a list; a client that needs to know asks for the address.
  return within === undefined ? to.filter(item => item.kind === 'network') : [];
}

const EVERYWHERE: readonly Network[] = [parseNetwork('0.0.0.0/0'), parseNetwork('::/0')];

type Read =
  | { readonly refusal: Verdict; readonly packet?: never; readonly embedded?: never }
  | { readonly refusal?: never; readonly packet: Packet; readonly embedded: Packet | undefined };

const NO_ADDRESS = denial('not an IP address');
const NO_NAME = denial('not a name of DNS');
