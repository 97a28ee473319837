import { formatAddress, type IpAddress, readAddress } from '@podsocks/shared/matching/ip-address';
import { type Network, parseNetwork } from '@podsocks/shared/matching/network';
import { NetworkSet } from '@podsocks/shared/matching/network-set';

export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

const READ_MS = 10_000;

/** Addresses at which a machine reaches itself whatever its interfaces are. */
const ALWAYS = ['0.0.0.0/8', '::/128'].map(parseNetwork);
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map(parseNetwork);

/**
 * The addresses under which the server itself can be reached, so that nobody reaches its listeners from within: those for
 * metrics and health, which trust the cluster, or its own port, through which one request could be many.
 *
 * What the server cannot know: the Service, node port or load balancer in front of it. Deny those by rule.
 */
export class OwnListeners {
  readonly #machine: () => readonly string[];
  readonly #now: () => number;
  readonly #byPort = new Map<number, NetworkSet>();
  #listeners: readonly ListenerAddress[] = [];
  #readAt = 0;

  /**
   * @param machine the addresses, and networks (`a.b.c.d/n`), at which the machine reaches itself, as they are now: they come
   *   and go (DHCP, VPNs).
   * @param now a clock that never steps back, in milliseconds.
   */
  constructor(machine: () => readonly string[], now: () => number) {
    this.#machine = machine;
    this.#now = now;
  }

  /**
   * Replaces what was known; to be called before the first client is served, and again when ports were chosen.
   *
   * @param listeners where the server listens. One on all addresses (`0.0.0.0`, `::`) counts for both families; so does a
   *   host that is no address.
   */
  set(listeners: readonly ListenerAddress[]): void {
    this.#listeners = listeners;
    this.#read();
  }

  #read(): void {
    this.#readAt = this.#now();
    const listeners = this.#listeners;
    const machine = this.#machine();
    const everywhere = [...LOOPBACK, ...machine.flatMap(networkOf)];
    this.#byPort.clear();
    for (const { port } of listeners) {
      const hosts = listeners.filter(listener => listener.port === port);
      const networks = hosts.flatMap(({ host }) => (isSpecific(host) ? networkOf(host) : everywhere));
      this.#byPort.set(port, new NetworkSet([...ALWAYS, ...networks]));
    }
  }

  has(address: IpAddress, port: number): boolean {
    if (!this.#byPort.has(port)) return false;
    if (this.#now() - this.#readAt >= READ_MS) this.#read();
    return this.#byPort.get(port)?.has(address) ?? false;
  }
}

function isSpecific(host: string): boolean {
  const address = readAddress(host);
  return address !== undefined && (address.a | address.b | address.c | address.d) !== 0;
}

function networkOf(host: string): Network[] {
  if (host.includes('/')) return [parseNetwork(host)];
  const address = readAddress(host);
  return address === undefined ? [] : [parseNetwork(formatAddress(address))];
}
