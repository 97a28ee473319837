import { isWildcard } from '@podsocks/shared/net/wildcard';
import { printable } from '@podsocks/shared/runtime/printable';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { KnownServer } from '../servers/known-server.ts';
import type { ClientStatus, ServerStatus } from './client-status.ts';
import { describeRoute } from './render.ts';

export interface ChecklistFacts {
  readonly status: ClientStatus;
  /** What the server in use has said of itself. */
  readonly known: KnownServer | undefined;
  /** Whether the server was asked. */
  readonly asked: boolean;
  /** Whether TCP is carried. */
  readonly offersTcp: boolean;
  /** As `describeBackend` has it. */
  readonly backend: string;
  /** Addresses of this machine that others on the local network can type, if they may come in. */
  readonly lanAddresses: readonly string[];
}

/** What ss-local prints once it has heard from its server: what it has found, and lines to copy. */
export function checklist({ status, known, asked, offersTcp, backend, lanAddresses }: ChecklistFacts): string {
  const { servers, route, dns, listen, asksForPassword, forwards, maps } = status;
  const server = servers.find(({ active }) => active) ?? servers[0]!;
  const isReached = !asked || server.kind !== 'unknown';
  const rows: [boolean, string, string][] = [
    [isReached, 'server', describeServer(server, servers.length, asked)],
    [true, 'cipher', `${server.method}, ${backend}`],
    ...(known?.domain === undefined ? [] : [[true, 'cluster', describeCluster(known)] as [boolean, string, string]]),
    ...(known === undefined ? [] : ([[true, 'allowed', describeAllowed(known)]] as [boolean, string, string][])),
    [true, 'route', describeRoute(route)],
    ...(dns === undefined ? [] : ([[true, 'local DNS', describeDns(dns)]] as [boolean, string, string][])),
    [status.udp !== 'datagrams' || known?.carriesUdp !== false, 'UDP', describeUdp(status, known)],
    ...forwards.map((to): [boolean, string, string] => [true, 'forward', `${to.listen}/${to.protocol} → ${to.target}`]),
    ...maps.map((to): [boolean, string, string] => [true, 'map', `${to.name}:${to.port} is ${to.address}:${to.port}`]),
    ...(maps.length > 0 && dns === undefined ? [[false, 'map', UNTOLD] as [boolean, string, string]] : []),
  ];
  const found = rows.map(([isFine, label, value]) => `  ${isFine ? '✓' : '✗'} ${label.padEnd(10)} ${printable(value)}`);
  return [
    ...found,
    ...(offersTcp ? ['', ...linesToCopy(listen, known, asksForPassword, lanAddresses), ''] : ['']),
  ].join('\n');
}

function describeServer(
  { name, address, kind, version, roundTrip, reason }: ServerStatus,
  count: number,
  asked: boolean,
): string {
  const who = name === undefined ? address : `${name} (${address})`;
  const others = count > 1 ? `; ${count - 1} more: ss-local status` : '';
  if (!asked) return `${who}, which is not asked what it is${others}`;
  if (kind === 'unknown') return `${who}: ${reason ?? 'no answer yet'}; ss-local doctor says why${others}`;
  const time = roundTrip === undefined ? '' : `, ${roundTrip < 10 ? roundTrip.toFixed(1) : Math.round(roundTrip)} ms`;
  return `${who}, ${version === undefined ? 'plain Shadowsocks' : `podsocks ${version}`}${time}${others}`;
}

function describeCluster({ domain, namespace, nameservers }: KnownServer): string {
  const servers = nameservers.map(({ host, port }) => (port === 53 ? host : formatTarget({ host, port })));
  return [domain, namespace && `ss-server in ${namespace}`, servers.length > 0 && `DNS ${servers.join(', ')}`]
    .filter(Boolean)
    .join(', ');
}

function describeAllowed({ allowed, default: otherwise, user }: KnownServer): string {
  const networks = allowed.length > MOST_NETWORKS ? [...allowed.slice(0, MOST_NETWORKS), '…'] : allowed;
  const what = networks.length === 0 ? 'all that ss-server reaches' : networks.join(', ');
  const rest = networks.length > 0 && otherwise === 'allow' ? ', and all else' : '';
  return `${what}${rest}${user === undefined || user === ONLY_USER ? '' : `, as ${user}`}`;
}

const MOST_NETWORKS = 6;

/** Whom a server without users knows. */
const ONLY_USER = 'default';

function describeDns({ listen, zones }: NonNullable<ClientStatus['dns']>): string {
  return `${listen.join(', ')} for ${zones.join(', ') || 'no zone yet'}; ss-local dns install lets the system use it`;
}

const UNTOLD = 'without --dns, programs find these names in a hosts file only';

function describeUdp({ udp }: ClientStatus, known: KnownServer | undefined): string {
  if (udp === 'off') return 'off (-u)';
  if (udp === 'over-tcp') return 'inside of TCP connections';
  return known !== undefined && !known.carriesUdp
    ? 'as datagrams, which the server does not take: start it with -u, or use --udp-over-tcp'
    : 'as datagrams';
}

function linesToCopy(
  listen: readonly string[],
  known: KnownServer | undefined,
  asksForPassword: boolean,
  addresses: readonly string[],
): string[] {
  const hosts = listen.map(hostOf);
  const [host = ''] = hosts;
  const port = listen[0]!.replace(/^.*:/, '');
  const own = isWildcard(host) ? `127.0.0.1:${port}` : listen[0]!;
  const access = asksForPassword ? 'USER:PASSWORD@' : '';
  const page = known === undefined ? 'http://example.com/' : 'http://info.podsocks.internal/v1/info';
  const at = `${isWildcard(host) || host === '127.0.0.1' ? '' : ` -b ${host}`}${port === '1080' ? '' : ` -l ${port}`}`;
  const reached = hosts.some(isWildcard) ? addresses : addresses.filter(address => hosts.includes(address));
  const as = asksForPassword ? ' --socks-username USER --socks-password-file FILE' : '';
  const lines: [line: string, comment: string][] = [
    [`curl --proxy socks5h://${access}${own} ${page}`, ''],
    [`eval "$(ss-local${at}${as} env)"`, 'for this shell: curl, git, npm, pip, Go, …'],
    [`http://${own}/proxy.pac`, `for a browser, or: ss-local${at} system-proxy on`],
    ...reached.map((address): [string, string] => [
      `socks5h://${access}${formatTarget({ host: address, port: Number(port) })}`,
      'on other machines',
    ]),
  ];
  const width = Math.max(...lines.filter(([, comment]) => comment !== '').map(([line]) => line.length));
  return lines.map(([line, comment]) =>
    printable(`  ${comment === '' ? line : `${line.padEnd(width)}   # ${comment}`}`),
  );
}

function hostOf(listen: string): string {
  return listen.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
