import type { Target } from './address.ts';

/**
 * The host that ss-server answers itself, over HTTP/1.1. `.internal` is for private use (ICANN, 2024), so no other server can
 * have such a name, unless its resolver answers for everything.
 */
export const INFORMATION_HOST: Target = { type: 'name', host: 'info.podsocks.internal', port: 80 };

/** Whether a request is for it. Names count without case and trailing dot, as in DNS. */
export function isInformationHost({ type, host, port }: Target): boolean {
  if (type !== 'name' || port !== INFORMATION_HOST.port) return false;
  const name = host.toLowerCase();
  return (name.endsWith('.') ? name.slice(0, -1) : name) === INFORMATION_HOST.host;
}

/** What a server can do beyond plain Shadowsocks. Clients pass over those that they do not know. */
export type Feature = 'connect-status' | 'udp' | 'udp-over-tcp';

/** The answer to `GET /v1/info`. */
export interface ServerInformation {
  readonly podsocks: { readonly version: string };
  /** The server's clock, ISO 8601. */
  readonly time: string;
  /** As whom the server knows the client. */
  readonly user: string;
  readonly features: readonly Feature[];
  readonly cluster: ClusterInformation;
}

/** What the cluster looks like from the server's pod. */
export interface ClusterInformation {
  /** Of a pod's search list `<namespace>.svc.<domain>`; null where the list has no such domain. */
  readonly domain: string | null;
  readonly namespace: string | null;
  /** `address`, with the port where it is not 53. */
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  /** Networks that rules allow the user, on some port at least, in CIDR notation; the first ones where there are many. */
  readonly allowed: readonly string[];
  /** What becomes of all that no rule speaks of. */
  readonly default: 'allow' | 'deny';
}
