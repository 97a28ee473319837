import { printable, printableJson } from '@podsocks/shared/runtime/printable';
import type { ClientStatus, ServerStatus } from './client-status.ts';

/** How `ss-local status` prints. */
export const STATUS_FORMATS = ['table', 'wide', 'json'] as const;

export type StatusFormat = (typeof STATUS_FORMATS)[number];

/**
 * A status for the eyes, or as JSON for programs.
 *
 * @param now ISO 8601, against which times are told.
 */
export function renderStatus(status: ClientStatus, format: StatusFormat, now: string): string {
  if (format === 'json') return `${printableJson(status)}\n`;
  const isWide = format === 'wide';
  const sections = [
    overview(status, now),
    table([isWide ? WIDE_HEAD : HEAD, ...status.servers.map(server => (isWide ? wideRow(server) : row(server)))]),
    ...(status.forwards.length > 0
      ? [table([['LISTEN', 'TARGET'], ...status.forwards.map(to => [`${to.listen}/${to.protocol}`, to.target])])]
      : []),
    ...(status.maps.length > 0
      ? [table([['NAME', 'ADDRESS'], ...status.maps.map(to => [`${to.name}:${to.port}`, `${to.address}:${to.port}`])])]
      : []),
    failures(status, now, isWide ? status.failures.length : FEW),
  ];
  return `${sections.filter(section => section !== '').join('\n\n')}\n`;
}

/** Failures without -o wide. */
const FEW = 5;

function overview(
  { ssLocal, since, listen, udp, route, dns, connections, bytes, rates }: ClientStatus,
  now: string,
): string {
  const rows = [
    ['ss-local', `${ssLocal.version}, pid ${ssLocal.pid}, running for ${span(since, now)}`],
    ['listening', `${listen.join(', ')} (SOCKS5, SOCKS4, HTTP)`],
    ['route', describeRoute(route)],
    ...(dns ? [['DNS', `${dns.listen.join(', ')} for ${dns.zones.join(', ') || 'no zone yet'}`]] : []),
    ['UDP', udp],
    ['connections', `${connections.open} open, ${connections.total} since the start, ${connections.failed} failed`],
    ['sent', `${amount(bytes.up)}, now ${amount(rates.up)}/s`],
    ['received', `${amount(bytes.down)}, now ${amount(rates.down)}/s`],
  ];
  return rows.map(([label, value]) => `${label!.padEnd(12)}${printable(value!)}`).join('\n');
}

/** One line about what goes where. */
export function describeRoute({ mode, namespace, domains, networks }: ClientStatus['route']): string {
  const own = namespace === undefined ? '' : `; names without a dot are in namespace ${namespace}`;
  if (mode !== 'auto') return (mode === 'all' ? 'all: everything through the tunnel' : mode) + own;
  return `auto: ${[...domains, ...networks].join(', ') || 'nothing is known of the cluster'} through the tunnel, else direct${own}`;
}

const HEAD = ['', 'SERVER', 'HEALTH', 'RTT', 'OPEN', 'TOTAL', 'FAILED', 'REASON'];
const WIDE_HEAD = [
  '',
  'SERVER',
  'NAME',
  'METHOD',
  'KIND',
  'DOMAIN',
  'HEALTH',
  'RTT',
  'OPEN',
  'TOTAL',
  'FAILED',
  'REASON',
];

function row(server: ServerStatus): string[] {
  const { active, name, address, connections, total, failed, reason = '' } = server;
  return [
    active ? '*' : '',
    name ?? address,
    server.health,
    roundTrip(server),
    `${connections}`,
    `${total}`,
    `${failed}`,
    reason,
  ];
}

function wideRow(server: ServerStatus): string[] {
  const { active, address, name = '', method, kind, version, domain = '', health, connections, total, failed } = server;
  const what = version === undefined ? kind : `${kind} ${version}`;
  const counts = [`${connections}`, `${total}`, `${failed}`];
  return [
    active ? '*' : '',
    address,
    name,
    method,
    what,
    domain,
    health,
    roundTrip(server),
    ...counts,
    server.reason ?? '',
  ];
}

function roundTrip({ roundTrip: time }: ServerStatus): string {
  return time === undefined ? '-' : `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;
}

function failures({ failures: all }: ClientStatus, now: string, most: number): string {
  if (all.length === 0) return '';
  return table([
    ['FAILED', 'TARGET', 'REASON'],
    ...all.slice(0, most).map(({ at, target, reason }) => [`${span(at, now)} ago`, target, reason]),
  ]);
}

/** Columns as wide as their widest cell, two spaces between. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(cells => printable(cells[column]!).length)));
  return rows
    .map(cells =>
      cells
        .map((cell, column) => printable(cell).padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `3 h 12 min`, from two ISO 8601 times. */
function span(from: string, to: string): string {
  const seconds = Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** `1.5 MB`, of 1000 each. */
function amount(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
