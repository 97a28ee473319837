import type { Address } from '@podsocks/shared/dns/address';
import { addressIn, localhost, parseName } from '@podsocks/shared/dns/dns-name';
import type { OpenExchanges } from '@podsocks/shared/dns/exchange';
import { parseResolvConf, parseSearch, type ResolvConf } from '@podsocks/shared/dns/resolv-conf';
import { TtlCache } from '@podsocks/shared/dns/ttl-cache';
import { WatchedFile } from '@podsocks/shared/dns/watched-file';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { random } from '@podsocks/shared/runtime/random';
import { inTurn, type UsableFamily, usableFamilies } from './address-order.ts';
import { type ResolveFailure, resolveError } from './failure.ts';
import { type Hosts, parseHosts } from './hosts-file.ts';
import type { DnsAnswer, QueryType } from './message.ts';
import { NameSearch } from './name-search.ts';
import { isKnowledge, type Outcome, QuestionCache } from './question-cache.ts';
import { ResolverStats } from './resolver-stats.ts';
import { Slots } from './slots.ts';
import { Upstream } from './upstream.ts';

export interface ResolverOptions {
  /** Paths: /etc/resolv.conf and /etc/hosts. Both are read again when they change. */
  readonly resolvConf: string;
  readonly hosts: string;
  /** Each of these goes before what resolv.conf says. Servers are IP addresses; domains may end with a dot. */
  readonly servers?: readonly Endpoint[] | undefined;
  readonly search?: readonly string[] | undefined;
  readonly ndots?: number | undefined;
  /** Milliseconds that one server has. */
  readonly timeout?: number | undefined;
  readonly attempts?: number | undefined;
  /** This machine's name, for a resolv.conf without a search list. */
  readonly hostname?: string;
  /** IPv6 addresses before IPv4 (`-6`). */
  readonly ipv6First: boolean;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
  readonly usable?: UsableFamily;
  readonly limits?: Partial<ResolverLimits>;
}

export interface ResolverLimits {
  /** Queries under way; each has a socket. */
  readonly queries: number;
  /** Queries that wait for one of those to end. */
  readonly waiting: number;
  /** Names and addresses that are remembered, of some 100 bytes each. */
  readonly remembered: number;
}

/** A name that no server answers for holds two sockets for 10 s, by the defaults: of those there can be 128 at a time. */
const LIMITS: ResolverLimits = { queries: 256, waiting: 1024, remembered: 32_768 };

/** Names to addresses, by the rules of glibc's resolver. */
export interface Resolver {
  /**
   * All addresses of a name in the order to be tried, at least one; from call to call another one is the first.
   *
   * @param text a name, or an address, which is its own answer.
   * @throws PodsocksError ERR_DIAL, of which `failureOf` (failure.ts) says why.
   */
  resolve(text: string, family?: 4 | 6): Promise<readonly Address[]>;
  /** What `resolve` would say without asking a server; always in the same order, so that a flow of datagrams stays. */
  known(text: string, family?: 4 | 6): readonly Address[] | ResolveFailure | undefined;
  /**
   * Asks for other records, of this name and no other, past the cache and the hosts file.
   *
   * @returns an answer whose RCODE is NOERROR or NXDOMAIN.
   * @throws as `resolve`.
   */
  query(name: string, type: QueryType): Promise<DnsAnswer>;
  /** Whom it asks, and with which search list, as the files say now. */
  readonly settings: Pick<ResolvConf, 'servers' | 'search' | 'ndots'>;
  /** What was done since the start. */
  readonly stats: ResolverStats;
  /** What is going on: queries under way and waiting, and names that are remembered. */
  readonly load: { readonly queries: number; readonly waiting: number; readonly remembered: number };
  /** Ends all that is under way, as `closed`. */
  close(): void;
}

export function createResolver(options: ResolverOptions): Resolver {
  return new CachingResolver(options);
}

/** The addresses of a name, in an order that moves on from use to use. */
interface Named extends Outcome {
  turn: number;
}

/** What holds until a file changes. All that is known goes with it: another search list gives names another meaning. */
interface Configured {
  readonly conf: ResolvConf;
  readonly hosts: Hosts;
  readonly settings: Resolver['settings'];
  readonly upstream: Upstream;
  readonly questions: QuestionCache;
  readonly searches: NameSearch;
  /** By family. */
  readonly names: Record<0 | 4 | 6, TtlCache<Named>>;
  readonly asked: Map<string, Promise<Named>>;
}

class CachingResolver implements Resolver {
  readonly stats = new ResolverStats();
  readonly #options: ResolverOptions;
  readonly #limits: ResolverLimits;
  readonly #resolvConf: WatchedFile<ResolvConf>;
  readonly #hosts: WatchedFile<Hosts>;
  readonly #slots: Slots;
  readonly #usable: UsableFamily;
  readonly #open: OpenExchanges = new Set();
  #configured: Configured;
  #closed = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
    const { now, hostname, usable = usableFamilies(now) } = options;
    this.#usable = usable;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#slots = new Slots({ most: this.#limits.queries, mostWaiting: this.#limits.waiting });
    this.#resolvConf = new WatchedFile({
      path: options.resolvConf,
      parse: text => parseResolvConf(text, hostname),
      now,
    });
    this.#hosts = new WatchedFile({ path: options.hosts, parse: parseHosts, now });
    this.#configured = this.#configure(this.#resolvConf.content(), this.#hosts.content());
  }

  get settings(): Resolver['settings'] {
    return this.#current(this.#options.now()).settings;
  }

  get load(): Resolver['load'] {
    const { names } = this.#configured;
    const remembered = names[0].size + names[4].size + names[6].size;
    return { queries: this.#slots.taken, waiting: this.#slots.waiting, remembered };
  }

  async resolve(text: string, family?: 4 | 6): Promise<readonly Address[]> {
    this.stats.names++;
    const known = this.#closed ? missing('closed') : this.#find(text, family);
    if (known !== undefined) this.stats.known++;
    const found = known ?? (await this.#ask(text, family));
    if (found.failure !== undefined) {
      this.stats.failures[found.failure]++;
      throw resolveError(text, found.failure, found.detail);
    }
    const [first] = found.addresses;
    return inTurn(found.addresses, first!.family, found.turn++);
  }

  known(text: string, family?: 4 | 6): readonly Address[] | ResolveFailure | undefined {
    const known = this.#closed ? undefined : this.#find(text, family);
    return known?.failure ?? known?.addresses;
  }

  async query(name: string, type: QueryType): Promise<DnsAnswer> {
    const parsed = parseName(name);
    if (parsed === undefined) throw resolveError(name, 'not-found', NOT_A_NAME);
    const answer = await this.#current(this.#options.now()).upstream.ask({ name: parsed.text, type });
    if ('failure' in answer) throw resolveError(name, answer.failure, answer.detail);
    return answer;
  }

  close(): void {
    this.#closed = true;
    this.#slots.close();
    for (const abort of this.#open) abort();
  }

  /** What is known without a server. */
  #find(text: string, family: 4 | 6 | undefined): Named | undefined {
    const now = this.#options.now();
    const { names, hosts } = this.#current(now);
    const remembered = names[family ?? 0].get(text.toLowerCase(), now);
    if (remembered !== undefined) return remembered;
    const address = addressIn(text);
    if (address !== undefined) return ofFamily([address], family) ?? missing('no-address', `IPv${family}`);
    const name = parseName(text);
    if (name === undefined) return missing('not-found', NOT_A_NAME);
    const listed = hosts.get(name.text);
    const loopback = localhost(name, listed);
    if (loopback !== undefined) return ofFamily(loopback, family) ?? missing('no-address', `IPv${family}`);
    // A name with a trailing dot is for DNS, as in glibc.
    return name.absolute ? undefined : ofFamily(listed, family);
  }

  /** Asks the servers, once for all who ask the same. */
  #ask(text: string, family: 4 | 6 | undefined): Promise<Named> {
    const { asked, searches, names } = this.#configured;
    const name = text.toLowerCase();
    const key = `${family ?? 0}${name}`;
    const pending = asked.get(key);
    if (pending !== undefined) return pending;
    const search = async (): Promise<Named> => {
      const began = this.#options.now();
      try {
        // #find has seen that it is a name.
        const outcome = await searches.find(parseName(name)!, family);
        const named = { ...outcome, turn: random(1)[0]! };
        if (isKnowledge(named)) names[family ?? 0].set(name, named);
        return named;
      } finally {
        asked.delete(key);
        this.stats.took(this.#options.now() - began);
      }
    };
    const answer = search();
    asked.set(key, answer);
    return answer;
  }

  #current(now: number): Configured {
    const conf = this.#resolvConf.content(now);
    const hosts = this.#hosts.content(now);
    const { conf: formerConf, hosts: formerHosts } = this.#configured;
    if (conf !== formerConf || hosts !== formerHosts) this.#configured = this.#configure(conf, hosts);
    return this.#configured;
  }

  #configure(conf: ResolvConf, hosts: Hosts): Configured {
    const { now, ipv6First, servers = conf.servers, search, ndots = conf.ndots } = this.#options;
    const { timeout = conf.timeout, attempts = conf.attempts } = this.#options;
    const maxWeight = this.#limits.remembered;
    const upstream = new Upstream(
      { servers, timeout, attempts, rotate: conf.rotate, now },
      { slots: this.#slots, open: this.#open, stats: this.stats },
    );
    const questions = new QuestionCache({ upstream, now, maxWeight });
    const rules = { search: search === undefined ? conf.search : parseSearch(search), ndots };
    return {
      conf,
      hosts,
      settings: { servers, ...rules },
      upstream,
      questions,
      searches: new NameSearch({ questions, rules, ipv6First, usable: this.#usable, now }),
      names: { 0: new TtlCache(maxWeight), 4: new TtlCache(maxWeight), 6: new TtlCache(maxWeight) },
      asked: new Map(),
    };
  }
}

const NOT_A_NAME = 'DNS names are of letters, digits, hyphens and underscores, and at most 253 bytes; others as xn--';

/** What is not remembered, because it takes no query to find out. */
const UNCACHED = { weight: 0, until: 0, detail: '', turn: 0 } as const;

function missing(failure: ResolveFailure, detail = ''): Named {
  return { ...UNCACHED, addresses: [], failure, detail };
}

function ofFamily(addresses: readonly Address[] | undefined, family: 4 | 6 | undefined): Named | undefined {
  const fitting = addresses?.filter(address => family === undefined || address.family === family) ?? [];
  return fitting.length > 0 ? { ...UNCACHED, addresses: fitting } : undefined;
}
