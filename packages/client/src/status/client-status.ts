/** What a running ss-local says of itself at `/v1/status`. Times in milliseconds unless they are ISO 8601 text; no secrets. */
export interface ClientStatus {
  readonly ssLocal: { readonly version: string; readonly pid: number };
  readonly since: string;
  /** `host:port` of each. */
  readonly listen: readonly string[];
  /** Whether SOCKS and HTTP clients have to give a user name and password. */
  readonly asksForPassword: boolean;
  readonly udp: 'off' | 'datagrams' | 'over-tcp';
  readonly route: RouteStatus;
  readonly servers: readonly ServerStatus[];
  readonly connections: { readonly open: number; readonly total: number; readonly failed: number };
  /** Plaintext of TCP since the start, and in a second, of late. */
  readonly bytes: { readonly up: number; readonly down: number };
  readonly rates: { readonly up: number; readonly down: number };
  /** Where the local DNS answers, if it does. */
  readonly dns?: { readonly listen: readonly string[]; readonly zones: readonly string[] };
  readonly forwards: readonly { readonly listen: string; readonly target: string; readonly protocol: 'tcp' | 'udp' }[];
  readonly maps: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  /** The last ones, latest first. */
  readonly failures: readonly FailureStatus[];
}

export interface RouteStatus {
  /** What is in force: with `auto` it depends on the server. */
  readonly mode: 'auto' | 'all' | 'rules';
  readonly namespace?: string;
  /** What goes through the tunnel by itself, in `auto`. */
  readonly domains: readonly string[];
  readonly networks: readonly string[];
}

export interface ServerStatus {
  readonly name?: string;
  /** `host:port`. */
  readonly address: string;
  readonly method: string;
  readonly health: 'unknown' | 'healthy' | 'unhealthy';
  /** Whether new connections go there. */
  readonly active: boolean;
  /** Why it is unhealthy. */
  readonly reason?: string;
  /** Of the last probe. */
  readonly roundTrip?: number;
  readonly kind: 'podsocks' | 'plain' | 'unknown';
  readonly version?: string;
  readonly domain?: string;
  readonly connections: number;
  readonly total: number;
  readonly failed: number;
}

export interface FailureStatus {
  readonly at: string;
  readonly target: string;
  readonly reason: string;
  readonly client?: string;
}
