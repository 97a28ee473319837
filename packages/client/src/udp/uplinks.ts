import type { IdleClock } from '@podsocks/shared/net/idle-clock';
import type { ClientConfig } from '../config.ts';
import { mayDial } from '../direct-dial.ts';
import type { Router } from '../routing/router.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import { directUplinks } from './direct-uplink.ts';
import { routedUplinks } from './routed-uplink.ts';
import { tunnelUplinks } from './tunnel-uplink.ts';
import type { OpenUplink } from './uplink.ts';

export interface UdpUplinksOptions {
  readonly config: Pick<ClientConfig, 'udpOverTcp' | 'cryptoBackend' | 'ipv6First'>;
  readonly pool: ServerPool;
  readonly router: Pick<Router, 'decide' | 'decideForward' | 'isRejected'>;
  readonly clock: IdleClock;
}

export interface UdpUplinks {
  /** By the routes. */
  readonly routed: OpenUplink;
  /** For ports that stand for a target: never directly. */
  readonly forwarded: OpenUplink;
}

/** The ways of datagrams. Directly they do not reach what is this machine's own: whose an association is, they do not tell. */
export function udpUplinks({ config, pool, router, clock }: UdpUplinksOptions): UdpUplinks {
  const isRejected = (address: string, port: number) => router.isRejected(address, port);
  const ways = {
    tunnel: tunnelUplinks({ config, pool, clock }),
    direct: directUplinks({ isAllowed: (address, port) => mayDial(address, port, { isRejected, forOthers: true }) }),
  };
  return {
    routed: routedUplinks({ decide: target => router.decide(target), ...ways }),
    forwarded: routedUplinks({ decide: target => router.decideForward(target), ...ways }),
  };
}
