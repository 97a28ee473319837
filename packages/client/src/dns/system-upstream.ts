import type { ExchangeOptions, OpenExchanges, Reply } from '@podsocks/shared/dns/exchange';
import { exchangeTcp } from '@podsocks/shared/dns/exchange-tcp';
import { exchangeUdp } from '@podsocks/shared/dns/exchange-udp';
import { Rcode } from '@podsocks/shared/dns/rcode';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { random } from '@podsocks/shared/runtime/random';
import type { DnsQuery } from './query.ts';
import { type RawAnswer, readAnswer } from './raw-answer.ts';
import { encodeForwarded } from './reply.ts';
import { ServersInTurn } from './servers-in-turn.ts';

export interface SystemUpstreamOptions {
  readonly servers: () => readonly Endpoint[];
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/** There is nobody to ask. */
export class NoUpstream extends PodsocksError {
  constructor() {
    super('ERR_DIAL', "the system has no DNS server but this one; give the network's as --dns-upstream");
  }
}

/** The DNS servers of the system, asked directly: by UDP, by TCP if the answer does not fit. */
export class SystemUpstream {
  readonly #options: SystemUpstreamOptions;
  readonly #order: ServersInTurn;
  readonly #open: OpenExchanges = new Set();

  constructor(options: SystemUpstreamOptions) {
    this.#options = options;
    this.#order = new ServersInTurn(options.now);
  }

  /** @throws NoUpstream; PodsocksError ERR_DIAL: there is no answer within 5 s, and why. */
  async ask(query: DnsQuery): Promise<RawAnswer> {
    const servers = this.#options.servers();
    if (servers.length === 0) throw new NoUpstream();
    return this.#order.ask(servers, (server, timeout) => this.#askServer(server, query, timeout));
  }

  close(): void {
    for (const abort of this.#open) abort();
  }

  async #askServer(server: Endpoint, query: DnsQuery, timeout: number): Promise<RawAnswer> {
    const until = this.#options.now() + timeout;
    const answer = await this.#exchange(server, query, true, until);
    if (!refusesEdns(answer)) return answer;
    return this.#exchange(server, query, false, until);
  }

  async #exchange(server: Endpoint, query: DnsQuery, withEdns: boolean, until: number): Promise<RawAnswer> {
    const options = (): ExchangeOptions<RawAnswer> => {
      const message = encodeForwarded(query, Buffer.from(random(2)).readUInt16BE(0), { withEdns });
      const read = (answer: Buffer) => readAnswer(answer, message, query);
      const timeout = Math.max(until - this.#options.now(), LEAST_TIMEOUT_MS);
      return { server, query: message, read, timeout, open: this.#open };
    };
    const reply = await exchangeUdp(options(), () => {});
    return outcome(reply.kind === 'by-tcp' ? await exchangeTcp(options()) : reply);
  }
}

/** For a second exchange, after one that took nearly all the time. */
const LEAST_TIMEOUT_MS = 500;

function refusesEdns({ rcode }: RawAnswer): boolean {
  return rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP || rcode === Rcode.BADVERS;
}

function outcome(reply: Reply<RawAnswer>): RawAnswer {
  if (reply.kind === 'answer') return reply.answer;
  throw new PodsocksError('ERR_DIAL', 'detail' in reply ? reply.detail : 'no answer');
}
