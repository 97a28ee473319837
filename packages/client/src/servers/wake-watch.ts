import type { NetworkInterfaceInfo } from 'node:os';

/** What a watch needs from outside; times in milliseconds. */
export interface WakeWatchOptions {
  /** A clock that never steps back. On Linux and macOS it stands still while the machine sleeps. */
  readonly monotonic: () => number;
  /** The clock on the wall, which goes on. */
  readonly wall: () => number;
  /** `os.networkInterfaces` */
  readonly interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
}

/** What has happened to this machine. */
export type Upheaval = 'slept' | 'network';

/** Longer than any turn of the event loop takes; NAT and servers may have forgotten connections then. */
const SLEEP_MS = 30_000;

/** Between two looks at the addresses, which take 50 µs. */
const LOOK_MS = 5_000;

/** Notices that this machine (or process) has slept, or is in another network. It has no timer: whoever has one asks. */
export class WakeWatch {
  readonly #options: WakeWatchOptions;
  #monotonic: number;
  #wall: number;
  #addresses = '';
  #lookedAt: number;

  constructor(options: WakeWatchOptions) {
    this.#options = options;
    this.#monotonic = options.monotonic();
    this.#wall = options.wall();
    this.#addresses = this.#look();
    this.#lookedAt = this.#monotonic;
  }

  /**
   * To be called every second or so while it matters; after a pause on purpose, what it returns first means little.
   *
   * @param looks at the addresses in any case, and not only now and then.
   */
  check(looks = false): Upheaval | undefined {
    const monotonic = this.#options.monotonic();
    const wall = this.#options.wall();
    const slept = Math.max(monotonic - this.#monotonic, wall - this.#wall) > SLEEP_MS;
    this.#monotonic = monotonic;
    this.#wall = wall;
    const isTimeToLook = looks || slept || monotonic - this.#lookedAt >= LOOK_MS;
    const hasMoved = isTimeToLook && this.#hasMoved(monotonic);
    if (slept) return 'slept';
    return hasMoved ? 'network' : undefined;
  }

  #hasMoved(now: number): boolean {
    this.#lookedAt = now;
    const before = this.#addresses;
    this.#addresses = this.#look();
    return this.#addresses !== before;
  }

  /** As before where the system does not tell: in some sandboxes, and when this process is out of descriptors. */
  #look(): string {
    try {
      return this.#reachable();
    } catch {
      return this.#addresses;
    }
  }

  /** Addresses by which others can be reached; those of containers come and go, with link-local ones only. */
  #reachable(): string {
    return Object.entries(this.#options.interfaces())
      .flatMap(([name, entries]) => (entries ?? []).map(({ address, internal }) => ({ name, address, internal })))
      .filter(({ address, internal }) => !internal && !/^(fe[89ab]|169\.254\.)/i.test(address))
      .map(({ name, address }) => `${name} ${address}`)
      .sort()
      .join('\n');
  }
}
