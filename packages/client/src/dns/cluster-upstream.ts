import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, targetOf } from '@podsocks/shared/wire/address';
import type { OpenStream } from '../open-stream.ts';
import { Deadline } from '../servers/deadline.ts';
import { DnsStream } from './dns-stream.ts';
import type { DnsQuery } from './query.ts';
import type { RawAnswer } from './raw-answer.ts';
import { ServersInTurn } from './servers-in-turn.ts';

export interface ClusterUpstreamOptions {
  readonly openStream: OpenStream;
  readonly servers: () => readonly Endpoint[];
  /** Why there are none. */
  readonly obstacle: () => string;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/** Connections to one server at a time: another one is for when those that are there do not answer. */
const MOST_STREAMS = 8;

/** The DNS servers of the cluster, by TCP through the tunnel. */
export class ClusterUpstream {
  readonly #options: ClusterUpstreamOptions;
  readonly #order: ServersInTurn;
  readonly #streams = new Map<string, ServerStreams>();
  readonly #closed = new AbortController();

  constructor(options: ClusterUpstreamOptions) {
    this.#options = options;
    this.#order = new ServersInTurn(options.now);
  }

  /** @throws PodsocksError ERR_DIAL: there is no answer within 5 s, and why. */
  async ask(query: DnsQuery): Promise<RawAnswer> {
    const servers = this.#options.servers();
    this.#forgetAllBut(servers);
    if (servers.length === 0) throw new PodsocksError('ERR_DIAL', this.#options.obstacle());
    return this.#order.ask(servers, (server, timeout) => this.#streamsOf(server).ask(query, timeout));
  }

  close(): void {
    this.#closed.abort();
    this.#forgetAllBut([]);
  }

  #streamsOf(server: Endpoint): ServerStreams {
    const name = formatTarget(server);
    let streams = this.#streams.get(name);
    if (streams === undefined) {
      streams = new ServerStreams(server, this.#options, this.#closed.signal);
      this.#streams.set(name, streams);
    }
    return streams;
  }

  #forgetAllBut(servers: readonly Endpoint[]): void {
    if (this.#streams.size === 0) return;
    const names = new Set(servers.map(formatTarget));
    for (const [name, streams] of this.#streams) {
      if (names.has(name)) continue;
      this.#streams.delete(name);
      streams.close();
    }
  }
}

class ServerStreams {
  readonly #server: Endpoint;
  readonly #options: ClusterUpstreamOptions;
  readonly #closed: AbortSignal;
  readonly #streams = new Set<DnsStream>();
  #opening: Promise<DnsStream> | undefined;

  constructor(server: Endpoint, options: ClusterUpstreamOptions, closed: AbortSignal) {
    this.#server = server;
    this.#options = options;
    this.#closed = closed;
  }

  async ask(query: DnsQuery, timeout: number): Promise<RawAnswer> {
    const { now } = this.#options;
    const until = now() + timeout;
    const stream = this.#free() ?? (await this.#open(timeout));
    return stream.ask(query, Math.max(until - now(), 1), now());
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
  }

  #free(): DnsStream | undefined {
    const now = this.#options.now();
    for (const stream of this.#streams) if (stream.isFree(now)) return stream;
    return undefined;
  }

  /** One at a time, for all who wait. */
  #open(timeout: number): Promise<DnsStream> {
    this.#opening ??= this.#openOne(timeout).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openOne(timeout: number): Promise<DnsStream> {
    if (this.#streams.size >= MOST_STREAMS) {
      const [oldest] = this.#streams;
      oldest!.close();
    }
    const { host, port } = this.#server;
    const deadline = new Deadline(timeout, this.#closed);
    try {
      const duplex = await this.#options.openStream(targetOf(host, port), { signal: deadline.signal });
      const stream: DnsStream = new DnsStream(duplex, () => this.#streams.delete(stream));
      this.#streams.add(stream);
      return stream;
    } catch (error) {
      if (deadline.isLate) throw new PodsocksError('ERR_TIMEOUT', `no connection within ${timeout / 1000} s`);
      throw error;
    } finally {
      deadline.end();
    }
  }
}
