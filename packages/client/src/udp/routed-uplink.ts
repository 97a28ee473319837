import type { Target } from '@podsocks/shared/wire/address';
import type { Decision } from '../routing/router.ts';
import type { OpenUplink, Uplink, UplinkOptions } from './uplink.ts';

export interface RoutedUplinkServices {
  readonly decide: (target: Target) => Decision;
  readonly tunnel: OpenUplink;
  readonly direct: OpenUplink;
}

/** Datagrams each of which goes the way that its target has; a way is opened with the first that goes it. */
export function routedUplinks(services: RoutedUplinkServices): OpenUplink {
  return options => new RoutedUplink(services, options);
}

class RoutedUplink implements Uplink {
  readonly #services: RoutedUplinkServices;
  readonly #options: UplinkOptions;
  readonly #uplinks: { tunnel?: Uplink; direct?: Uplink } = {};

  constructor(services: RoutedUplinkServices, options: UplinkOptions) {
    this.#services = services;
    this.#options = options;
  }

  send(given: Target, data: Uint8Array, at: number, length: number): void {
    const { way, target } = this.#services.decide(given);
    if (way === 'reject') {
      this.#options.dropped('denied');
      return;
    }
    this.#uplinks[way] ??= this.#services[way](this.#options);
    this.#uplinks[way].send(target, data, at, length);
  }

  close(): void {
    this.#uplinks.tunnel?.close();
    this.#uplinks.direct?.close();
  }
}
