import type { ExchangeOptions, OpenExchanges, Reply } from '@podsocks/shared/dns/exchange';
import { exchangeTcp } from '@podsocks/shared/dns/exchange-tcp';
import { exchangeUdp } from '@podsocks/shared/dns/exchange-udp';
import { Rcode, rcodeName } from '@podsocks/shared/dns/rcode';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { random } from '@podsocks/shared/runtime/random';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ResolveFailure } from './failure.ts';
import { type DnsAnswer, decodeAnswer, encodeQuery, type Question } from './message.ts';
import type { ResolverStats } from './resolver-stats.ts';
import type { Slots } from './slots.ts';

export interface UpstreamOptions {
  /** In the order to be asked, at least one. */
  readonly servers: readonly Endpoint[];
  /** How long each has, in milliseconds. */
  readonly timeout: number;
  /** How often those are asked that do not answer. */
  readonly attempts: number;
  readonly rotate: boolean;
  readonly now: () => number;
}

/** What all upstreams of a resolver share, of which there is another after each change of resolv.conf. */
export interface UpstreamServices {
  readonly slots: Slots;
  readonly open: OpenExchanges;
  readonly stats: ResolverStats;
}

/** No server has the answer. */
export interface Failed {
  readonly failure: ResolveFailure;
  readonly detail: string;
}

interface Server {
  readonly endpoint: Endpoint;
  /** When it answered last, on the clock. */
  answeredAt: number;
  /** Until then others are asked before it, because it did not answer. */
  shunnedUntil: number;
  /** Until then it is asked without EDNS0, which it did not read. */
  plainUntil: number;
}

/** How long a server that did not answer is asked last: so it costs one time-out, not one for each name. */
const SHUN_MS = 30_000;

/** A refusal of EDNS0 may have been that of a server which is no longer behind the address. */
const PLAIN_MS = 600_000;

/** The servers, as one: asks them in turn until one knows. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #services: UpstreamServices;
  readonly #servers: readonly Server[];
  #turn = 0;

  constructor(options: UpstreamOptions, services: UpstreamServices) {
    this.#options = options;
    this.#services = services;
    this.#servers = options.servers.map(endpoint => ({
      endpoint,
      answeredAt: Number.NEGATIVE_INFINITY,
      shunnedUntil: Number.NEGATIVE_INFINITY,
      plainUntil: Number.NEGATIVE_INFINITY,
    }));
  }

  /** @returns an answer whose RCODE is NOERROR or NXDOMAIN. Never rejects. */
  async ask(question: Question): Promise<DnsAnswer | Failed> {
    const { slots } = this.#services;
    const { timeout } = this.#options;
    const grant = await slots.take(timeout);
    if (grant !== 'taken') return { failure: grant, detail: '' };
    try {
      return await this.#askAll(question);
    } finally {
      slots.give();
    }
  }

  async #askAll(question: Question): Promise<DnsAnswer | Failed> {
    let servers = this.#inTurn();
    const failed = new Map<Server, Reply['kind']>();
    let detail = '';
    for (let attempt = 0; attempt < this.#options.attempts && servers.length > 0; attempt++) {
      for (const server of servers) {
        if (failed.size > 0) this.#services.stats.failovers++;
        const askedAt = this.#options.now();
        const reply = await this.#askServer(server, question);
        if (reply.kind === 'answer') server.answeredAt = this.#options.now();
        if (reply.kind === 'closed') return { failure: 'closed', detail: '' };
        if (reply.kind === 'answer' && isFinal(reply.answer)) {
          server.shunnedUntil = Number.NEGATIVE_INFINITY;
          return reply.answer;
        }
        // Of one that has answered others meanwhile it is the name that is at fault: anyone can ask for such a name.
        const isSilent = reply.kind === 'timed-out' && server.answeredAt < askedAt;
        if (isSilent) void this.#probe(server);
        if (isSilent || reply.kind === 'unreachable') {
          server.shunnedUntil = this.#options.now() + SHUN_MS;
        }
        failed.set(server, reply.kind);
        detail = `${formatTarget(server.endpoint)}: ${describe(reply)}`;
      }
      // Whoever has answered would say the same again.
      servers = servers.filter(server => failed.get(server) === 'timed-out');
    }
    const isSilence = [...failed.values()].every(kind => kind === 'timed-out');
    return { failure: isSilence ? 'timed-out' : 'server-failed', detail };
  }

  /** Whether a server that has just been silent is so to what it surely knows: then it keeps its place. */
  async #probe(server: Server): Promise<void> {
    const reply = await this.#exchange(server, { name: 'localhost', type: 'A' });
    if (reply.kind !== 'answer') return;
    server.answeredAt = this.#options.now();
    server.shunnedUntil = Number.NEGATIVE_INFINITY;
  }

  /** One server: by UDP, by TCP if it says so, and without EDNS0 if it does not know that. */
  async #askServer(server: Server, question: Question): Promise<Reply<DnsAnswer>> {
    const withEdns = this.#readsEdns(server);
    const reply = await this.#exchange(server, question);
    if (!withEdns || reply.kind !== 'answer' || !refusesEdns(reply.answer)) return reply;
    server.plainUntil = this.#options.now() + PLAIN_MS;
    return this.#exchange(server, question);
  }

  #readsEdns({ plainUntil }: Server): boolean {
    return plainUntil <= this.#options.now();
  }

  async #exchange(server: Server, question: Question): Promise<Reply<DnsAnswer>> {
    const { endpoint } = server;
    const { open, stats } = this.#services;
    const { timeout } = this.#options;
    const edns = this.#readsEdns(server);
    const options = (): ExchangeOptions<DnsAnswer> => {
      const query = encodeQuery(question, Buffer.from(random(2)).readUInt16BE(0), { edns });
      return { server: endpoint, query: query.bytes, read: message => decodeAnswer(message, query), timeout, open };
    };
    stats.queries.udp++;
    const reply = await exchangeUdp(options(), () => stats.foreign++);
    if (reply.kind !== 'by-tcp') return reply;
    stats.queries.tcp++;
    return exchangeTcp(options());
  }

  /** Those first that answer, each group from another one on if they shall rotate. */
  #inTurn(): Server[] {
    const servers = [...this.#servers];
    if (this.#options.rotate) servers.push(...servers.splice(0, this.#turn++ % servers.length));
    const now = this.#options.now();
    const isShunned = ({ shunnedUntil }: Server) => shunnedUntil > now;
    return [...servers.filter(server => !isShunned(server)), ...servers.filter(isShunned)];
  }
}

function isFinal({ rcode, isLame }: DnsAnswer): boolean {
  if (isLame) return false;
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
}

function refusesEdns({ rcode }: DnsAnswer): boolean {
  return rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP || rcode === Rcode.BADVERS;
}

function describe(reply: Reply<DnsAnswer>): string {
  if (reply.kind === 'answer') return reply.answer.isLame ? 'knows nothing of it' : rcodeName(reply.answer.rcode);
  return 'detail' in reply ? reply.detail : 'no answer';
}
