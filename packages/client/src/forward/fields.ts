import { isIPv6 } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, texts } from '@podsocks/shared/settings/fields';
import { type Settings, type Sourced, several, type Warn } from '@podsocks/shared/settings/settings';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import { isLoopback } from '../listen/fields.ts';

/** A local port that stands for a target beyond the server. */
export interface Forward {
  readonly listen: Endpoint;
  readonly target: Target;
  readonly protocol: 'tcp' | 'udp';
}

const LOOPBACK = '127.0.0.1';

export const FORWARD_SETTINGS = {
  forward: several(
    { flags: '-L, --forward <forward>' },
    '[bind:]port:host:port[/udp]: local port that stands for a target beyond the server, may be repeated',
    parseForward,
  ),
  map: several(
    { flags: '--map <host:port>' },
    'name that gets a local address of its own with the same port; the local DNS (--dns) tells it; may be repeated',
    parseMap,
  ),
} satisfies Settings;

export const forwardFields = {
  forwards: texts(parseForward),
  maps: texts(parseMap),
} satisfies Fields;

/** `[bind:]port:host:port[/udp]` as `ssh -L` and `ss-tunnel` have it; IPv6 addresses stand in brackets. */
export function parseForward(text: string): Forward {
  const [, spec = '', protocol = 'tcp'] = /^(.*?)(?:\/(tcp|udp))?$/s.exec(text) ?? [];
  const parts = spec.match(/\[[^\]]*\]|[^:[\]]+/g) ?? [];
  const joined = parts.join(':');
  if (joined !== spec || (parts.length !== 3 && parts.length !== 4)) {
    throw wrong(
      'is not [bind:]port:host:port, such as 5432:db.default.svc.cluster.local:5432; IPv6 stands in brackets',
    );
  }
  const [host = '', port = ''] = parts.slice(-2);
  const bind = parts.length === 4 ? unbracketed(parts[0]!) : LOOPBACK;
  if (host.includes('%')) throw wrong(`${JSON.stringify(host)} is of a link of its machine; give an address without %`);
  return {
    listen: { host: bind, port: portOf(parts.at(-3)!, 0) },
    target: targetOf(checkedName(unbracketed(host)), portOf(port, 1)),
    protocol: protocol as Forward['protocol'],
  };
}

function unbracketed(text: string): string {
  if (!text.startsWith('[')) return text;
  const address = text.slice(1, -1);
  if (isIPv6(address)) return address;
  throw wrong(`${JSON.stringify(text)} is no IPv6 address, which is what stands in brackets`);
}

/** `host:port` of a name. */
export function parseMap(text: string): Target {
  const [, host, port] = /^([^:[\]/]+):(\d+)$/.exec(text) ?? [];
  if (host === undefined) throw wrong('is not host:port, such as redis-0.redis.default.svc.cluster.local:6379');
  const target = targetOf(checkedName(host).toLowerCase().replace(/\.$/, ''), portOf(port!, 1));
  if (target.type !== 'name') {
    throw wrong(`${host} is an address, and the local DNS can give another for names only; give the name, or use -L`);
  }
  if (!/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(target.host)) throw wrong('is no name that DNS can answer');
  return target;
}

/** @throws PodsocksError ERR_CONFIG for one that is there twice. */
export function checkMaps(maps: Sourced<readonly Target[]> | undefined): void {
  const names = (maps?.value ?? []).map(formatTarget);
  const again = names.find((name, index) => names.indexOf(name) !== index);
  if (again !== undefined) throw wrong(`${maps!.from}: ${again} is there twice; leave one out`);
}

/** RFC 1035 section 2.3.4, in text. */
const MAX_NAME_BYTES = 253;

function checkedName(host: string): string {
  if (Buffer.byteLength(host) <= MAX_NAME_BYTES) return host;
  throw wrong(`has a name of more than ${MAX_NAME_BYTES} bytes, which there is not`);
}

/** Warns of forwards that others than this machine may use, where nobody has said that they shall (`--lan`). */
export function warnOfOpenForwards(forwards: Sourced<readonly Forward[]> | undefined, warn: Warn): void {
  const open = (forwards?.value ?? []).filter(({ listen }) => !isLoopback(listen.host));
  if (open.length === 0) return;
  warn(
    `${forwards!.from}: anyone who can reach ${open.map(({ listen }) => formatTarget(listen)).join(', ')} can use this forward; ` +
      'bind it to 127.0.0.1, or add --lan, which lets in private networks only, or those of --lan-allow',
  );
}

function portOf(text: string, least: number): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= least && port <= 0xffff) return port;
  throw wrong(`${JSON.stringify(text)} is not a port; give a number from ${least} to 65535`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
