import type { ClientConfig } from '@podsocks/client/config';

/** What an ss-local does that only forwards SOCKS to one server, as those of others do. */
export const PLAIN_CLIENT = {
  socksUsers: [],
  connectReply: 'early',
  udpOverTcp: false,
  preconnect: 0,
  route: { mode: 'all', rules: [], default: 'tunnel', namespaces: [] },
  forwards: [],
  maps: [],
} satisfies Partial<ClientConfig>;
