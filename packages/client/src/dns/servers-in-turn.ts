import { Rcode, rcodeName } from '@podsocks/shared/dns/rcode';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { RawAnswer } from './raw-answer.ts';

/** Stub resolvers ask again, or give up, after 5 s (resolv.conf(5), dig): they shall hear by then that there is no answer. */
const PATIENCE_MS = 4500;

/** A loss, or a connection that has died unseen, is no reason to fail. */
const LEAST_ATTEMPTS = 2;

/** How long a server that did not answer is asked last: so it costs one time-out, not one for each name. */
const SHUN_MS = 10_000;

/** Servers, as one: asks them in turn until one knows. */
export class ServersInTurn {
  readonly #now: () => number;
  readonly #shunnedUntil = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * @param servers in the order to be asked, at least one.
   * @param ask asks one; must settle within the time-out, in milliseconds.
   * @returns the first answer that is NOERROR or NXDOMAIN, else one that says that there is none.
   * @throws PodsocksError ERR_DIAL: nobody has answered; it says why.
   */
  async ask(
    servers: readonly Endpoint[],
    ask: (server: Endpoint, timeout: number) => Promise<RawAnswer>,
  ): Promise<RawAnswer> {
    const attempts = Math.max(LEAST_ATTEMPTS, servers.length);
    const order = this.#inTurn(servers);
    const answered = new Set<Endpoint>();
    let failed: RawAnswer | undefined;
    let reason = '';
    for (let attempt = 0; attempt < attempts; attempt++) {
      const server = order[attempt % order.length]!;
      if (answered.has(server)) continue; // it would say the same again
      const name = formatTarget(server);
      try {
        const answer = await ask(server, PATIENCE_MS / attempts);
        answered.add(server);
        this.#shunnedUntil.delete(name);
        if (answer.rcode === Rcode.NOERROR || answer.rcode === Rcode.NXDOMAIN) return answer;
        if (answer.rcode <= MOST_PLAIN_RCODE) failed = answer;
        reason = `${name}: ${rcodeName(answer.rcode)}`;
      } catch (error) {
        if (!(error instanceof PodsocksError)) throw error;
        this.#shun(name);
        // Errors of the tunnel name the target themselves.
        reason = error.message.startsWith(name) ? error.message : `${name}: ${error.message}`;
      }
    }
    if (failed !== undefined) return failed;
    throw new PodsocksError('ERR_DIAL', reason);
  }

  #inTurn(servers: readonly Endpoint[]): readonly Endpoint[] {
    const now = this.#now();
    const isShunned = (server: Endpoint) => (this.#shunnedUntil.get(formatTarget(server)) ?? 0) > now;
    return [...servers.filter(server => !isShunned(server)), ...servers.filter(isShunned)];
  }

  #shun(name: string): void {
    const now = this.#now();
    for (const [other, until] of this.#shunnedUntil) if (until <= now) this.#shunnedUntil.delete(other);
    this.#shunnedUntil.set(name, now + SHUN_MS);
  }
}

/** RCODEs above it need EDNS0, and tell of that hop alone. */
const MOST_PLAIN_RCODE = 0xf;
