import { BlockList, isIPv6 } from 'node:net';
import { isMachineAddress, plainAddress } from './machine-addresses.ts';

/** Who of the local network may come in. */
export interface LanSettings {
  /** In CIDR notation. */
  readonly allow: readonly string[];
  /** The cap of connections of one address. */
  readonly maxPerClient: number;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether a client is on this machine, by its address. */
export function isOfThisMachine(client: string): boolean {
  return contains(LOOPBACK, plainAddress(client)) || isMachineAddress(client);
}

/** Lets in clients by their address, and so many connections of each. This machine's own are not its business. */
export class ClientGate {
  readonly #allowed = new BlockList();
  readonly #maxPerClient: number;
  readonly #open = new Map<string, number>();

  constructor({ allow, maxPerClient }: LanSettings) {
    for (const network of allow) {
      const [address = '', bits] = network.split('/');
      this.#allowed.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
    }
    this.#maxPerClient = maxPerClient;
  }

  /** Whether one more connection of a client may come in; then it has to {@link leave}. @returns why not, if not. */
  enter(client: string): 'its network is not let in (--lan-allow)' | 'it has too many connections' | undefined {
    const address = plainAddress(client);
    if (!contains(this.#allowed, address)) return 'its network is not let in (--lan-allow)';
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#maxPerClient) return 'it has too many connections';
    this.#open.set(address, open + 1);
    return undefined;
  }

  leave(client: string): void {
    const address = plainAddress(client);
    const open = this.#open.get(address) ?? 0;
    if (open > 1) this.#open.set(address, open - 1);
    else this.#open.delete(address);
  }
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
