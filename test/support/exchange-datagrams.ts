import { isIP } from 'node:net';
import { PseudoRandom } from './pseudo-random.ts';
import type { Destination } from './socks5-connect.ts';
import { type Datagram, Socks5DatagramClient } from './socks5-datagram-client.ts';

const CLIENTS = ['first client', 'second client'] as const;
const MAX_LENGTH = 1400;
/** Has no factor in common with MAX_LENGTH, so that as many datagrams in succession all have different lengths. */
const STRIDE = 617;
const WINDOW = 32;
const RESEND_AFTER_MS = 500;
/** UDP may lose, but hardly on loopback. */
const RESEND_LIMIT = 20;

export interface DatagramExchange {
  readonly socksPort: number;
  /** Echoes, which are taken in turn. */
  readonly destinations: readonly Destination[];
  /** By both clients together. */
  readonly datagrams: number;
}

export interface DatagramCounts {
  /** Datagrams whose echo has come. */
  readonly echoed: number;
  readonly resent: number;
  /** Echoes of what had been sent twice, and answered already. */
  readonly late: number;
}

/**
 * Two clients, each with an association of its own, send datagrams of 1 to 1400 bytes at once. Each echo must be byte for
 * byte what this client has sent, and must name the echo it was sent to as its source.
 */
export async function exchangeDatagrams({
  socksPort,
  destinations,
  datagrams,
}: DatagramExchange): Promise<DatagramCounts> {
  const budget = new ResendBudget();
  const each = Math.ceil(datagrams / CLIENTS.length);
  const parts = await Promise.all(
    CLIENTS.map(async name => {
      const client = await Socks5DatagramClient.associate(socksPort);
      try {
        return await new OneClient(name, client, destinations, each, budget).run();
      } finally {
        client.close();
      }
    }),
  );
  return {
    echoed: parts.reduce((sum, { echoed }) => sum + echoed, 0),
    resent: parts.reduce((sum, { resent }) => sum + resent, 0),
    late: parts.reduce((sum, { late }) => sum + late, 0),
  };
}

class ResendBudget {
  #left = RESEND_LIMIT;

  take(what: string): void {
    if (this.#left-- === 0) throw new Error(`${what} has no echo, and ${RESEND_LIMIT} have been sent again already`);
  }
}

interface Pending {
  readonly payload: Buffer;
  resend: NodeJS.Timeout;
}

class OneClient {
  readonly #name: string;
  readonly #client: Socks5DatagramClient;
  readonly #destinations: readonly Destination[];
  readonly #count: number;
  readonly #budget: ResendBudget;
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #resent = 0;
  #late = 0;

  constructor(
    name: string,
    client: Socks5DatagramClient,
    destinations: readonly Destination[],
    count: number,
    budget: ResendBudget,
  ) {
    this.#name = name;
    this.#client = client;
    this.#destinations = destinations;
    this.#count = count;
    this.#budget = budget;
  }

  async run(): Promise<DatagramCounts> {
    try {
      await new Promise<void>((resolve, reject) => {
        const proceed = () => {
          this.#fillWindow(reject);
          if (this.#pending.size === 0) resolve();
        };
        this.#client.onDatagram(datagram => {
          this.#settle(datagram);
          proceed();
        }, reject);
        proceed();
      });
    } finally {
      for (const { resend } of this.#pending.values()) clearInterval(resend);
    }
    return { echoed: this.#next, resent: this.#resent, late: this.#late };
  }

  /** The window is one of sequence numbers, so that lengths in it are unique: it stands still while the oldest is missing. */
  #fillWindow(reject: (error: unknown) => void): void {
    const [oldest = this.#next] = this.#pending.keys();
    while (this.#next < Math.min(oldest + WINDOW, this.#count)) {
      const number = this.#next++;
      const payload = this.#payload(number);
      const send = () => {
        const { host, port } = this.#destination(number);
        this.#client.send(host, port, payload);
      };
      const resend = setInterval(() => {
        try {
          this.#budget.take(`datagram ${number} of the ${this.#name} (${payload.length} bytes)`);
          this.#resent++;
          send();
        } catch (error) {
          reject(error);
        }
      }, RESEND_AFTER_MS);
      this.#pending.set(number, { payload, resend });
      send();
    }
  }

  /** Finds by its length which one it is the echo of: the latest one of this length. */
  #settle(echo: Datagram): void {
    const number = this.#latestOf(echo.payload.length);
    const what = `the echo of ${echo.payload.length} bytes to the ${this.#name}, from ${echo.host}:${echo.port},`;
    if (number === undefined) throw new Error(`${what} is of no datagram that it has sent`);
    const to = this.#destination(number);
    if (!echo.payload.equals(this.#payload(number))) {
      throw new Error(`${what} is not what datagram ${number} was, which went to ${to.host}:${to.port}`);
    }
    if (!isFrom(to, echo)) throw new Error(`${what} is of datagram ${number}, which went to ${to.host}:${to.port}`);

    const pending = this.#pending.get(number);
    if (pending) {
      clearInterval(pending.resend);
      this.#pending.delete(number);
    } else if (++this.#late > this.#resent)
      throw new Error(`${what} has come twice, and datagram ${number} was sent once`);
  }

  #latestOf(length: number): number | undefined {
    for (let number = this.#next - 1; number >= Math.max(0, this.#next - MAX_LENGTH); number--) {
      if (lengthOf(number) === length) return number;
    }
    return undefined;
  }

  #payload(number: number): Buffer {
    return new PseudoRandom(`${this.#name}, datagram ${number}`).take(lengthOf(number));
  }

  /** In turn, and each length to another one when it comes again. */
  #destination(number: number): Destination {
    return this.#destinations[(number + Math.floor(number / MAX_LENGTH)) % this.#destinations.length]!;
  }
}

function lengthOf(number: number): number {
  return 1 + ((number * STRIDE) % MAX_LENGTH);
}

/** Who sends a name gets the address that it turned out to be, or the name again. */
function isFrom(to: Destination, { host, port }: Datagram): boolean {
  const hosts = isIP(to.host) ? [to.host] : ['127.0.0.1', '::1', to.host];
  return port === to.port && hosts.includes(host);
}
