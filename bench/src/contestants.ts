import type { Implementation } from './implementations.ts';

/** One end of a contestant: a program and what it is told beyond addresses, method and key. */
export interface EndChoice {
  readonly implementation: Implementation;
  readonly args?: readonly string[];
}

/** A client and a server that are measured together. */
export interface Contestant {
  readonly method: string;
  readonly name: string;
  readonly server: EndChoice;
  readonly client: EndChoice;
  /** The one measure that it takes part in: what others would show follows from other rows. */
  readonly only?: 'bulk' | 'udp';
  /** Not pinned to one CPU for each end: for programs that use several. */
  readonly allCpus?: boolean;
  /** Takes part in a quick run, too. */
  readonly quick?: boolean;
}

const NATIVE = podsocks('native');
const LIBEV: EndChoice = { implementation: 'shadowsocks-libev' };
const RUST: EndChoice = { implementation: 'shadowsocks-rust' };
const SING_BOX: EndChoice = { implementation: 'sing-box' };

/** Rows that ratios are made of are found by these names. */
export const NAMES = {
  native: 'podsocks (native)',
  node: 'podsocks (node)',
  libev: 'shadowsocks-libev',
  rust: 'shadowsocks-rust',
  singBox: 'sing-box',
} as const;

/** Who is measured, in the order of the tables. */
export const CONTESTANTS: readonly Contestant[] = [
  { ...pair('aes-256-gcm', NAMES.native, NATIVE), quick: true },
  pair('aes-256-gcm', NAMES.node, podsocks('node')),
  { ...pair('aes-256-gcm', NAMES.libev, LIBEV), quick: true },
  { ...pair('aes-256-gcm', NAMES.rust, RUST), only: 'udp' },
  { ...pair('aes-256-gcm', NAMES.singBox, SING_BOX), only: 'udp' },
  crossed('aes-256-gcm', 'podsocks → libev', NATIVE, LIBEV),
  crossed('aes-256-gcm', 'libev → podsocks', LIBEV, NATIVE),
  { ...pair('2022-blake3-aes-256-gcm', NAMES.native, NATIVE), quick: true },
  pair('2022-blake3-aes-256-gcm', NAMES.node, podsocks('node')),
  { ...pair('2022-blake3-aes-256-gcm', NAMES.rust, RUST), quick: true },
  { ...pair('2022-blake3-aes-256-gcm', NAMES.singBox, SING_BOX), quick: true },
  crossed('2022-blake3-aes-256-gcm', 'podsocks → rust', NATIVE, RUST),
  crossed('2022-blake3-aes-256-gcm', 'rust → podsocks', RUST, NATIVE),
  crossed('2022-blake3-aes-256-gcm', 'podsocks → sing-box', NATIVE, SING_BOX),
  crossed('2022-blake3-aes-256-gcm', 'sing-box → podsocks', SING_BOX, NATIVE),
  { ...twoWorkers('2022-blake3-aes-256-gcm'), only: 'bulk', allCpus: true },
  { ...pair('2022-blake3-aes-256-gcm', `${NAMES.rust}, all CPUs`, RUST), only: 'bulk', allCpus: true },
  { ...pair('2022-blake3-aes-256-gcm', `${NAMES.singBox}, all CPUs`, SING_BOX), only: 'bulk', allCpus: true },
  { ...pair('2022-blake3-aes-128-gcm', NAMES.native, NATIVE), only: 'bulk' },
  { ...pair('2022-blake3-aes-128-gcm', NAMES.rust, RUST), only: 'bulk' },
  { ...pair('2022-blake3-aes-128-gcm', NAMES.singBox, SING_BOX), only: 'bulk' },
];

/** What `--contestants` looks into. */
export function labelOf({ method, name }: Pick<Contestant, 'method' | 'name'>): string {
  return `${method}: ${name}`;
}

/** Those that take part in a measure. */
export function takingPart(contestants: readonly Contestant[], measure: string): Contestant[] {
  return contestants.filter(({ only }) => only === undefined || only === measure);
}

/** Whether a contestant has an end of this implementation. */
export function needs({ client, server }: Contestant, implementation: Implementation): boolean {
  return client.implementation === implementation || server.implementation === implementation;
}

/** Whether a contestant has an end that computes with the native addon. */
export function needsNativeAddon({ client, server }: Contestant): boolean {
  return [client, server].some(({ args }) => args?.includes('native'));
}

function podsocks(backend: string): EndChoice {
  return { implementation: 'podsocks', args: ['--crypto-backend', backend] };
}

function pair(method: string, name: string, both: EndChoice): Contestant {
  return { method, name, server: both, client: both };
}

function twoWorkers(method: string): Contestant {
  const server = { ...NATIVE, args: [...NATIVE.args!, '--workers', '2'] };
  return { method, name: 'podsocks, 2 workers, all CPUs', server, client: NATIVE };
}

/** Named client → server, the way that a connection is opened. */
function crossed(method: string, name: string, client: EndChoice, server: EndChoice): Contestant {
  return { method, name, client, server, only: 'bulk' };
}
