import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { encodeAddress, targetOf } from '@podsocks/shared/wire/address';

/** systemd-resolved takes no more search domains for one link (LINK_SEARCH_DOMAINS_MAX). */
export const MOST_ZONES = 256;

/** RFC 1035 section 2.3.4, less the length of the first label and the root. */
const MAX_NAME_CHARACTERS = 253;

/** Letters, digits, hyphens, and the underscores of services. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Single labels that clusters use, and nobody else: no top-level domain of these names exists. */
const CLUSTER_LABELS: ReadonlySet<string> = new Set(['cluster', 'kube', 'kubernetes', 'svc']);

/** Last labels of what is private by standard (RFC 6762, 6761, 8375, ICANN's .internal) or by wide use. */
const PRIVATE_LABELS: ReadonlySet<string> = new Set([
  'local',
  'internal',
  'cluster',
  'lan',
  'home',
  'corp',
  'test',
  'svc',
  'arpa',
]);

/** Zones that hold the reverse zones of everybody. */
const ALL_REVERSE: ReadonlySet<string> = new Set(['in-addr.arpa', 'ip6.arpa']);

/**
 * A zone that may be sent to the DNS server of ss-local, in lower case and without a dot at the end.
 *
 * @throws PodsocksError ERR_CONFIG for what is no name, and for what would take the names of others with it.
 */
export function parseZone(text: string): string {
  const zone = text.toLowerCase().replace(/\.$/, '');
  const shown = JSON.stringify(text.slice(0, 64));
  if (zone === '') throw wrong(`${shown} is every name there is; give the cluster's domain, such as cluster.local`);
  const labels = zone.split('.');
  if (zone.length > MAX_NAME_CHARACTERS || !labels.every(label => LABEL.test(label))) {
    throw wrong(`${shown} is no domain; give one such as cluster.local (xn--… if it is not ASCII)`);
  }
  if (zone === 'local') {
    throw wrong('"local" belongs to mDNS (RFC 6762), printers and the like; give one below it, such as cluster.local');
  }
  if (ALL_REVERSE.has(zone)) {
    throw wrong(`${shown} is the reverse of every address there is; give the cluster's networks with --network`);
  }
  if (labels.length === 1 && !isOfClusters(zone)) {
    throw wrong(`${shown} may be a top-level domain with names of others; give one below it, such as svc.${zone}`);
  }
  return zone;
}

/** Whether nobody on the internet has names there, so that it does no harm to send them elsewhere. */
export function isPrivateZone(zone: string): boolean {
  const label = zone.slice(zone.lastIndexOf('.') + 1);
  return PRIVATE_LABELS.has(label) || isOfClusters(label);
}

/** No top-level domain has a digit or a hyphen, but for those with xn-- (RFC 3696 section 2). */
function isOfClusters(label: string): boolean {
  return CLUSTER_LABELS.has(label) || (/[0-9-]/.test(label) && !label.startsWith('xn--'));
}

/** A wider network than this holds the addresses of others. */
const LEAST_PREFIX = 8;

/**
 * The reverse zones of a network: `10.96.0.0/12` has 16, from `96.10.in-addr.arpa` on, since zones end at whole bytes of
 * IPv4, and at half ones of IPv6. Networks within a zone have a name for each address, so that no other is taken.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function reverseZones(text: string): string[] {
  const shown = JSON.stringify(text.slice(0, 64));
  const [, host = '', bits] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const { type, host: address } = targetOf(host, 0);
  if (type === 'name') throw wrong(`${shown} is no network; give one in CIDR notation, such as 10.96.0.0/12`);
  const out = new Uint8Array(1 + 16 + 2);
  const bytes = out.subarray(1, encodeAddress(out, 0, { type, host: address, port: 0 }) - 2);
  const prefix = bits === undefined ? bytes.length * 8 : Number(bits);
  if (prefix > bytes.length * 8) throw wrong(`${shown} is no network; its prefix has ${bytes.length * 8} bits at most`);
  if (prefix < LEAST_PREFIX) throw wrong(`${shown} is wider than a cluster; give a prefix of ${LEAST_PREFIX} or more`);
  const [width, radix, suffix] = type === 'ipv4' ? [8, 10, 'in-addr.arpa'] : [4, 16, 'ip6.arpa'];
  const digits = width === 8 ? [...bytes] : [...bytes].flatMap(byte => [byte >> 4, byte & 0xf]);
  const fixed = Math.ceil(prefix / width);
  const span = 2 ** (fixed * width - prefix);
  const last = digits[fixed - 1]!;
  const behind = last % span || digits.slice(fixed).some(digit => digit !== 0);
  if (behind) throw wrong(`${shown} has bits behind its prefix; clear them, or give the single address`);
  return Array.from({ length: span }, (_, i) => {
    const labels = [...digits.slice(0, fixed - 1), last + i].map(digit => digit.toString(radix));
    return `${labels.reverse().join('.')}.${suffix}`;
  });
}

/** Each once, and none that lies within another, in the order given. */
export function withoutInner(zones: readonly string[]): string[] {
  const all = new Set(zones);
  return [...all].filter(zone => !isWithin(all, zone));
}

function isWithin(zones: ReadonlySet<string>, zone: string): boolean {
  for (let dot = zone.indexOf('.'); dot !== -1; dot = zone.indexOf('.', dot + 1)) {
    if (zones.has(zone.slice(dot + 1))) return true;
  }
  return false;
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
