import {
  associationBudget,
  checkAssociations,
  connectionBudget,
  queryBudget,
  SOCKETS_PER_ASSOCIATION,
} from '@podsocks/shared/net/descriptors';
import { carriesUdp } from '@podsocks/shared/settings/mode';
import type { ServerConfig } from './config.ts';

/** How much of everything there may be at a time. */
export interface Limits {
  readonly maxConnections: number;
  /** Where UDP is served. */
  readonly udpMaxAssociations?: number;
}

/**
 * What was asked for, else what open files allow.
 *
 * @throws PodsocksError ERR_CONFIG when too little would be left for connections.
 */
export function limitsOf({ mode, nofile, maxConnections, udpMaxAssociations }: ServerConfig): Limits {
  const queries = queryBudget(nofile);
  if (!carriesUdp(mode)) return { maxConnections: maxConnections ?? connectionBudget(nofile, { taken: queries }) };
  const associations = udpMaxAssociations ?? associationBudget(nofile);
  if (maxConnections === undefined) checkAssociations(associations, nofile);
  return {
    maxConnections:
      maxConnections ?? connectionBudget(nofile, { taken: queries + associations * SOCKETS_PER_ASSOCIATION }),
    udpMaxAssociations: associations,
  };
}
