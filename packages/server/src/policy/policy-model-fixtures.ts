// A policy that is slow and plain, to hold the real one against: addresses are strings of bits, every condition a sentence.

export type Bits = string;

export const bitsOf = (bytes: readonly number[]): Bits => bytes.map(byte => byte.toString(2).padStart(8, '0')).join('');
const ipv4Bits = (text: string): Bits => bitsOf(text.split('.').map(Number));
export const ipv6Bits = (groups: readonly number[]): Bits =>
  groups.map(group => group.toString(2).padStart(16, '0')).join('');
const bytesOf = (bits: Bits) => (bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2));
const groupsOf = (bits: Bits) => (bits.match(/.{16}/g) ?? []).map(group => Number.parseInt(group, 2));
export const textOf = (bits: Bits) =>
  bits.length === 32
    ? bytesOf(bits).join('.')
    : groupsOf(bits)
        .map(group => group.toString(16))
        .join(':');

export interface ModelNetwork {
  readonly prefix: Bits;
  readonly length: 32 | 128;
}

export const within = (address: Bits, { prefix, length }: ModelNetwork) =>
  address.length === length && address.startsWith(prefix);

export const v4 = (base: string, bits: number): ModelNetwork => ({ prefix: ipv4Bits(base).slice(0, bits), length: 32 });
export const v6 = (groups: readonly number[], bits: number): ModelNetwork => ({
  prefix: ipv6Bits([...groups, ...Array(8 - groups.length).fill(0)]).slice(0, bits),
  length: 128,
});

/** Narrow ones before the wide ones that hold them. */
export const DENIED: readonly ModelNetwork[] = [
  v4('169.254.169.254', 32),
  v4('100.100.100.200', 32),
  v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
  v4('0.0.0.0', 8),
  v4('127.0.0.0', 8),
  v4('169.254.0.0', 16),
  v4('224.0.0.0', 4),
  v4('255.255.255.255', 32),
  v6([], 128),
  v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
  v6([0xfe80], 10),
  v6([0xff00], 8),
  v6([0x64, 0xff9b, 1], 48),
];

export interface ModelRule {
  readonly action: 'allow' | 'deny';
  readonly networks: readonly ModelNetwork[] | undefined;
  readonly names: readonly string[] | undefined;
  readonly within: readonly ModelNetwork[] | undefined;
  readonly ports: readonly (readonly [number, number])[] | undefined;
  readonly protocols: readonly ('tcp' | 'udp')[] | undefined;
  readonly users: readonly string[] | undefined;
  readonly groups: readonly string[] | undefined;
}

export interface Asked {
  readonly user: string;
  readonly protocol: 'tcp' | 'udp';
  readonly name: string | undefined;
  readonly address: Bits;
  readonly port: number;
}

export const GROUPS: Record<string, readonly string[]> = { ada: ['ops'], bob: ['ops', 'dev'], eve: [], kim: [] };
export const OWN = {
  port: 8388,
  addresses: [v4('10.1.2.3', 32), v4('127.0.0.0', 8), v4('0.0.0.0', 8), v6([], 128), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)],
};

function nameFits(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
}

function applies(rule: ModelRule, asked: Asked): boolean {
  const { user, protocol, name, address, port } = asked;
  const userFits =
    (!rule.users && !rule.groups) ||
    rule.users?.includes(user) ||
    rule.groups?.some(group => GROUPS[user]!.includes(group));
  const isThere =
    (!rule.networks && !rule.names) ||
    rule.networks?.some(network => within(address, network)) ||
    (name !== undefined && rule.names?.some(pattern => nameFits(pattern, name)));
  const all =
    userFits &&
    isThere &&
    (!rule.protocols || rule.protocols.includes(protocol)) &&
    (!rule.ports || rule.ports.some(([first, last]) => first <= port && port <= last)) &&
    (!rule.within || rule.within.some(network => within(address, network)));
  if (!all) return false;
  if (rule.action === 'deny') return true;
  if (port === OWN.port && OWN.addresses.some(network => within(address, network))) {
    const saysPort = rule.ports?.some(([first, last]) => first === port && last === port);
    return !!saysPort && !!rule.networks?.some(({ prefix }) => prefix === address);
  }
  const denied = DENIED.find(network => within(address, network));
  if (!denied) return true;
  return !!rule.networks?.some(network => within(address, network) && network.prefix.startsWith(denied.prefix));
}

/** The IPv4 address within, as whom the address is dialled (mapped) or might be carried on. */
export function modelVerdict(rules: readonly ModelRule[], fallback: boolean, asked: Asked): boolean {
  const { address } = asked;
  if (address.length === 128 && address.startsWith(`${'0'.repeat(80)}${'1'.repeat(16)}`)) {
    return modelVerdict(rules, fallback, { ...asked, address: address.slice(96) });
  }
  const decided = rules.find(rule => applies(rule, asked));
  const guarded =
    DENIED.some(network => within(address, network)) ||
    (asked.port === OWN.port && OWN.addresses.some(network => within(address, network)));
  const verdict = decided ? decided.action === 'allow' : fallback && !guarded;
  const inner = innerIpv4(address);
  return verdict && (inner === undefined || modelVerdict(rules, fallback, { ...asked, address: inner }));
}

function innerIpv4(address: Bits): Bits | undefined {
  if (address.length === 32) return undefined;
  if (address.startsWith(bitsOf([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]))) return address.slice(96);
  if (address.startsWith(bitsOf([0x20, 0x02]))) return address.slice(16, 48);
  if (address.startsWith(`${'0'.repeat(64)}${'1'.repeat(16)}${'0'.repeat(16)}`)) return address.slice(96);
  const isPlain = address.endsWith(`${'0'.repeat(31)}0`) || address.endsWith(`${'0'.repeat(31)}1`);
  return address.startsWith('0'.repeat(96)) && !isPlain ? address.slice(96) : undefined;
}
