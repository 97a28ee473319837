import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { backendUnderTest } from './backend-under-test.ts';
import { freePort } from './free-port.ts';
import { isPortTaken } from './ports.ts';
import { type ProgramRun, type Ready, startProgram } from './program-run.ts';
import { type Program, pathOf } from './programs.ts';

export type Implementation = 'podsocks' | 'libev' | 'rust' | 'sing-box';

/** How datagrams are carried: as such, or by version 1 or 2 of sing-box's UDP over TCP. */
export type Udp = 'plain' | 'over-tcp-1' | 'over-tcp-2';

export interface User {
  readonly name: string;
  readonly password: string;
}

export interface ServerOptions {
  readonly impl: Implementation;
  readonly method: string;
  /** For one user; with `users` it is the identity key (iPSK) they share in SIP022, and absent in SIP004. */
  readonly password?: string | undefined;
  readonly users?: readonly User[];
  /** Without it, and with UDP over TCP, the server has no UDP port. */
  readonly udp?: Udp | undefined;
}

export interface ClientOptions {
  readonly impl: Implementation;
  readonly method: string;
  readonly password: string;
  readonly serverPort: number;
  /** Fields of the configuration file beyond those every implementation has. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Without it UDP ASSOCIATE is refused. */
  readonly udp?: Udp | undefined;
  /** When it is ready, which listens at a port; by itself as soon as it accepts connections there. */
  readonly ready?: (port: number) => number | Ready;
}

/** One started end of a tunnel. `port` is where it listens, on 127.0.0.1. */
export interface End extends ProgramRun {
  readonly port: number;
}

/** The programs of others that an implementation consists of. */
export const PROGRAMS_OF = {
  podsocks: [],
  libev: ['shadowsocks-libev ss-server', 'shadowsocks-libev ss-local'],
  rust: ['shadowsocks-rust ssserver', 'shadowsocks-rust sslocal'],
  'sing-box': ['sing-box'],
} as const satisfies Record<Implementation, readonly Program[]>;

/** How to start an end of an implementation, before its arguments. */
export function commandOf(impl: Implementation, end: 'server' | 'client'): [string, ...string[]] {
  if (impl === 'podsocks') {
    const script = end === 'server' ? 'packages/server/bin/ss-server.cjs' : 'packages/client/bin/ss-local.cjs';
    return [process.execPath, checkoutPath(script)];
  }
  if (impl === 'sing-box') return [pathOf('sing-box'), 'run', '--disable-color'];
  const [server, client] = PROGRAMS_OF[impl];
  return [pathOf(end === 'server' ? server : client)];
}

/** On loopback, and in the namespaces that tests make. */
const TARGETS = ['127.0.0.0/8', '::1', '10.0.0.0/8'];

export async function startServer(options: ServerOptions): Promise<End> {
  const { impl, method, password, users, udp } = options;
  const port = await freePort();
  const ready = impl === 'podsocks' ? saysThatItListens : serverReady(port, udp);
  if (impl === 'sing-box') return startFromFile(impl, 'server', singBoxServer(options, port), port, [], ready);
  const mode = udp === 'plain' ? { mode: 'tcp_and_udp' } : {};
  const policy = impl === 'podsocks' ? { allow: TARGETS } : {};
  const server = {
    server: '127.0.0.1',
    server_port: port,
    method,
    password,
    ...(users && { users }),
    ...mode,
    ...policy,
  };
  // shadowsocks-rust overlooks `users` outside of `servers`.
  const config = impl === 'rust' ? { servers: [server] } : server;
  return startFromFile(impl, 'server', config, port, flagsOf(impl, method), ready);
}

/** With several workers it accepts connections long before one of them serves. */
const saysThatItListens: Ready = async (_pid, output) => output.includes('listening on');

/** A server may accept connections a moment before it receives datagrams, and what comes between is lost. */
function serverReady(port: number, udp: Udp | undefined): number | Ready {
  if (udp !== 'plain' || process.platform !== 'linux') return port;
  return async pid => (await isPortTaken(pid, 'udp', port)) && (await isPortTaken(pid, 'tcp', port));
}

export async function startClient(options: ClientOptions): Promise<End> {
  const { impl, method, password, serverPort, settings, udp, ready } = options;
  const port = await freePort();
  if (impl === 'sing-box') return startFromFile(impl, 'client', singBoxClient(options, port), port, []);
  const config = {
    server: '127.0.0.1',
    server_port: serverPort,
    local_address: '127.0.0.1',
    local_port: port,
    method,
    password,
    ...(udp && { mode: 'tcp_and_udp' }),
    // Loopback, where the targets are, would be reached directly.
    ...(impl === 'podsocks' && { route: 'all' }),
    ...settings,
  };
  const flags = [...flagsOf(impl, method), ...udpOverTcpFlags(impl, udp)];
  return startFromFile(impl, 'client', config, port, flags, ready?.(port));
}

/** All implementations but sing-box take the same fields in a configuration file, which is part of what is tested. */
async function startFromFile(
  impl: Implementation,
  end: 'server' | 'client',
  config: object,
  port: number,
  flags: readonly string[],
  ready: number | Ready = port,
): Promise<End> {
  const directory = await mkdtemp(join(tmpdir(), 'podsocks-interop-'));
  const file = join(directory, 'config.json');
  await writeFile(file, JSON.stringify(config));
  const removeFile = () => rm(directory, { recursive: true, force: true });
  try {
    const run = await startProgram(`${impl} ${end}`, [...commandOf(impl, end), '-c', file, ...flags], ready);
    return { ...run, port, stop: () => run.stop().finally(removeFile) };
  } catch (error) {
    await removeFile();
    throw error;
  }
}

function singBoxServer({ method, password, users, udp }: ServerOptions, port: number): object {
  const network = udp === 'plain' ? {} : { network: 'tcp' };
  const inbound = { type: 'shadowsocks', listen: '127.0.0.1', listen_port: port, method, password, ...network };
  return {
    // Without this it asks a name server even for localhost.
    dns: { servers: [{ type: 'hosts' }] },
    inbounds: [{ ...inbound, ...(users && { users }) }],
    outbounds: [{ type: 'direct' }],
  };
}

function singBoxClient({ method, password, serverPort, udp }: ClientOptions, port: number): object {
  const server = { server: '127.0.0.1', server_port: serverPort, method, password };
  return {
    inbounds: [{ type: 'socks', listen: '127.0.0.1', listen_port: port }],
    outbounds: [{ type: 'shadowsocks', ...server, ...SING_BOX_UDP[udp ?? 'none'] }],
  };
}

const SING_BOX_UDP = {
  none: { network: 'tcp' },
  plain: {},
  'over-tcp-1': { udp_over_tcp: { enabled: true, version: 1 } },
  'over-tcp-2': { udp_over_tcp: { enabled: true, version: 2 } },
} as const satisfies Record<Udp | 'none', object>;

function udpOverTcpFlags(impl: Implementation, udp: Udp | undefined): string[] {
  if (udp === undefined || udp === 'plain') return [];
  if (impl === 'podsocks' && udp === 'over-tcp-2') return ['--udp-over-tcp'];
  throw new Error(`${impl} as a client does not carry UDP ${udp}`);
}

function flagsOf(impl: Implementation, method: string): string[] {
  return impl === 'podsocks' ? ['--crypto-backend', backendUnderTest(methodNamed(method))] : [];
}

/** A new password that the method accepts: SIP022 wants base64 of a key, SIP004 takes any text. */
export function passwordFor(method: string): string {
  if (!isSip022(method)) return `pässword with "quotes", a colon: and ❤ ${randomBytes(8).toString('hex')}`;
  return randomBytes(method === '2022-blake3-aes-128-gcm' ? 16 : 32).toString('base64');
}

export function isSip022(method: string): boolean {
  return method.startsWith('2022-');
}

function checkoutPath(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
