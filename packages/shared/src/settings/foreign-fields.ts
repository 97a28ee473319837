type Reasons = Readonly<Record<string, string>>;

/** What a program knows of fields that are not its own. */
export interface ForeignFields {
  readonly noEffect: Reasons;
  readonly refused: Reasons;
}

const forAll = (names: string, reason: string): Reasons =>
  Object.fromEntries(names.split(' ').map(name => [name, reason]));

/** Fields of shadowsocks-libev, -rust and SIP008 that change nothing here: one warning each. */
export const NO_EFFECT: Reasons = {
  ...forAll('bytes_remaining bytes_used id version', 'it is a note of the provider'),
  ...forAll('balancer tcp_weight', 'servers are chosen without it'),
  ...forAll('manager_address manager_port workdir', 'there is no manager'),
  ...forAll('mtu udp_mtu', 'a datagram may be as long as the network takes'),
  udp_weight: 'servers are chosen without it',
  ...forAll('runtime workers', 'there is one thread'),
  ...forAll(
    'tcp_incoming_rcvbuf tcp_incoming_sndbuf tcp_outgoing_rcvbuf tcp_outgoing_sndbuf',
    'the system sizes buffers',
  ),
  ...forAll(
    'dscp forward_address forward_port tcp_tproxy tunnel_address tunnel_port',
    'it belongs to ss-redir or ss-tunnel',
  ),
  keep_alive: 'idle connections end after "timeout"',
  log: 'use "log_level" and "log_format"',
  security: 'replays are always refused',
  use_syslog: 'the log goes to stderr',
};

/** Fields without which a program would do something else than its file says: refused, with the mend. */
export const REFUSED: Reasons = {
  dns: 'it has another name here; use "nameserver" of ss-server',
  dns_cache_size: 'answers are kept for their TTL; remove it',
  nameserver: 'names are looked up by ss-server; put it into its file',
  ...forAll(
    'outbound_bind_interface outbound_fwmark outbound_proxy outbound_user_cookie',
    'it is not available; remove it',
  ),
  auth: 'one-time authentication is obsolete; remove it, every method here authenticates',
  ipv6_only: 'it is not available; remove it, and list the addresses to listen on',
  key: 'raw keys are not taken; use a 2022 method, whose "password" is a base64 key',
  locals: 'there is one listener; use "local_address" and "local_port"',
  online_config: 'servers are not fetched; put them into "servers"',
  outbound_bind_addr: 'it has another name here; use "local_address" of ss-server',
  port_password: 'there is one port; give "users", or run one process for each port',
  user: 'the user is not changed; remove it and start the program as that user (in a pod: runAsUser)',
};
