import { clientDatagrams } from '@podsocks/shared/crypto/datagrams';
import type { IdleClock } from '@podsocks/shared/net/idle-clock';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { datagramServices } from '@podsocks/shared/net/stream-services';
import type { ClientConfig } from '../config.ts';
import { movingUplinks } from '../servers/moving-uplink.ts';
import type { ServerLink } from '../servers/server-link.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import { datagramUplinks } from './datagram-uplink.ts';
import { streamUplinks } from './stream-uplink.ts';
import type { OpenUplink } from './uplink.ts';

export interface TunnelUplinkServices {
  readonly config: Pick<ClientConfig, 'udpOverTcp' | 'cryptoBackend' | 'ipv6First'>;
  readonly pool: ServerPool;
  readonly clock: IdleClock;
}

/** Servers forget associations after some minutes, too. */
const UDP_IDLE_MS = 300_000;

/** The way to whichever server is in use: an association that is under way goes on by another when that changes. */
export function tunnelUplinks({ config, pool, clock }: TunnelUplinkServices): OpenUplink {
  const byLink = new WeakMap<ServerLink, OpenUplink>();
  const uplinksTo = (link: ServerLink): OpenUplink => {
    const { server, streams } = link;
    if (config.udpOverTcp) {
      return streamUplinks({ streams, server, dialServer: () => link.dial(), clock, idleTimeout: UDP_IDLE_MS });
    }
    const datagrams = clientDatagrams(datagramServices(server.method, config.cryptoBackend));
    return datagramUplinks({ datagrams, server, lookup: systemLookup(config.ipv6First) });
  };
  const uplinksOf = (link: ServerLink): OpenUplink => {
    const known = byLink.get(link) ?? uplinksTo(link);
    byLink.set(link, known);
    return known;
  };
  return movingUplinks(pool, uplinksOf, { isBound: config.udpOverTcp });
}
