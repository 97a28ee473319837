import type { OpenExchanges, Reply } from '@podsocks/shared/dns/exchange';
import { exchangeUdp } from '@podsocks/shared/dns/exchange-udp';
import { parseResolvConf, parseSearch, type ResolvConf } from '@podsocks/shared/dns/resolv-conf';
import { WatchedFile } from '@podsocks/shared/dns/watched-file';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { random } from '@podsocks/shared/runtime/random';
import { formatTarget } from '@podsocks/shared/wire/address';
import { decodeAnswer, encodeQuery } from '../resolver/message.ts';

export interface DnsProbeOptions {
  /** The path of /etc/resolv.conf, which is read again when it changes. */
  readonly resolvConf: string;
  /** Each of these goes before what resolv.conf says. */
  readonly servers?: readonly Endpoint[] | undefined;
  readonly search?: readonly string[] | undefined;
  /** How long the servers have, in milliseconds. */
  readonly timeout: number;
}

/**
 * Whether any of the DNS servers answers at all, whatever it says. It asks past the resolver, whose queries users can use up,
 * so what users do makes no server look dead.
 */
export class DnsProbe {
  readonly #options: DnsProbeOptions;
  readonly #resolvConf: WatchedFile<ResolvConf>;

  constructor(options: DnsProbeOptions) {
    this.#options = options;
    this.#resolvConf = new WatchedFile({
      path: options.resolvConf,
      parse: text => parseResolvConf(text),
      now: () => performance.now(),
    });
  }

  /** @returns why names cannot be looked up; undefined when a server answers. Never rejects. */
  async obstacle(): Promise<string | undefined> {
    const conf = this.#resolvConf.content();
    const { servers = conf.servers, search = conf.search, timeout } = this.#options;
    // A domain of the search list is the cluster's own, of which its DNS knows without asking others: their outage is not its.
    const name = parseSearch(search).find(domain => domain !== '') ?? 'localhost';
    const open: OpenExchanges = new Set();
    const ask = async (server: Endpoint) => {
      const query = encodeQuery({ name, type: 'A' }, Buffer.from(random(2)).readUInt16BE(0), { edns: false });
      const read = (message: Buffer) => decodeAnswer(message, query);
      const reply = await exchangeUdp({ server, query: query.bytes, read, timeout, open }, () => {});
      const silence = silenceOf(reply, timeout);
      if (silence !== undefined) throw new Error(`${formatTarget(server)}: ${silence}`);
    };
    try {
      await Promise.any(servers.map(ask));
      return undefined;
    } catch (error) {
      return `no DNS server answers (${(error as AggregateError).errors.map(({ message }) => message).join('; ')})`;
    } finally {
      for (const abort of open) abort();
    }
  }
}

/** What to say of a reply that is none. */
function silenceOf(reply: Reply, timeout: number): string | undefined {
  if (reply.kind === 'unreachable') return reply.detail;
  return reply.kind === 'timed-out' ? `no answer within ${timeout / 1000} s` : undefined;
}
