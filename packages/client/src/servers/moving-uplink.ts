import type { Target } from '@podsocks/shared/wire/address';
import type { OpenUplink, Uplink, UplinkOptions } from '../udp/uplink.ts';
import type { ServerLink } from './server-link.ts';
import type { ServerPool } from './server-pool.ts';

/** How datagrams reach one server. */
export type UplinksOf = (link: ServerLink) => OpenUplink;

export interface MovingOptions {
  /** Whether an uplink is bound to an address of this machine, as a TCP connection is, and has to be made anew when that goes. */
  readonly isBound: boolean;
}

/**
 * Uplinks that follow the server in use: when it changes, an association goes on at the new one with its next datagram, as after
 * a change of this machine's own address. Targets see another source.
 */
export function movingUplinks(pool: ServerPool, uplinksOf: UplinksOf, { isBound }: MovingOptions): OpenUplink {
  return options => new MovingUplink(pool, uplinksOf, options, isBound);
}

class MovingUplink implements Uplink {
  readonly #pool: ServerPool;
  readonly #uplinksOf: UplinksOf;
  readonly #options: UplinkOptions;
  readonly #stopFollowing: readonly (() => void)[];
  #uplink: Uplink | undefined;

  constructor(pool: ServerPool, uplinksOf: UplinksOf, options: UplinkOptions, isBound: boolean) {
    this.#pool = pool;
    this.#uplinksOf = uplinksOf;
    this.#options = options;
    const leave = () => {
      this.#uplink?.close();
      this.#uplink = undefined;
    };
    this.#stopFollowing = [pool.onActiveChange(leave), ...(isBound ? [pool.onUpheaval(leave)] : [])];
    this.#uplink = this.#open();
  }

  send(target: Target, data: Uint8Array, at: number, length: number): void {
    this.#pool.used();
    this.#uplink ??= this.#open();
    this.#uplink.send(target, data, at, length);
  }

  close(): void {
    for (const stop of this.#stopFollowing) stop();
    this.#uplink?.close();
  }

  #open(): Uplink {
    const link = this.#pool.active;
    const { failed } = this.#options;
    return this.#uplinksOf(link)({
      ...this.#options,
      failed: error => {
        link.suspect(error.message);
        failed(error);
      },
    });
  }
}
