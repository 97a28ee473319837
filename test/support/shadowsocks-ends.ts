import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { backendUnderTest } from './backend-under-test.ts';
import { freePort } from './free-port.ts';
import { type ProgramRun, startProgram } from './program-run.ts';
import { type Program, pathOf } from './programs.ts';

export type Implementation = 'podsocks' | 'libev' | 'rust';

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
}

export interface ClientOptions {
  readonly impl: Implementation;
  readonly method: string;
  readonly password: string;
  readonly serverPort: number;
  /** Fields of the configuration file beyond those every implementation has. */
  readonly settings?: Readonly<Record<string, unknown>>;
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
} as const satisfies Record<Implementation, readonly Program[]>;

/** How to start an end of an implementation, before its arguments. */
export function commandOf(impl: Implementation, end: 'server' | 'client'): [string, ...string[]] {
  if (impl === 'podsocks') {
    const script = end === 'server' ? 'packages/server/bin/ss-server.cjs' : 'packages/client/bin/ss-local.cjs';
    return [process.execPath, checkoutPath(script)];
  }
  const [server, client] = PROGRAMS_OF[impl];
  return [pathOf(end === 'server' ? server : client)];
}

export async function startServer({ impl, method, password, users }: ServerOptions): Promise<End> {
  const port = await freePort();
  const server = { server: '127.0.0.1', server_port: port, method, password, ...(users && { users }) };
  // shadowsocks-rust overlooks `users` outside of `servers`.
  const config = impl === 'rust' ? { servers: [server] } : server;
  return startFromFile(impl, 'server', config, port, flagsOf(impl, method));
}

export async function startClient({ impl, method, password, serverPort, settings }: ClientOptions): Promise<End> {
  const port = await freePort();
  const config = {
    server: '127.0.0.1',
    server_port: serverPort,
    local_address: '127.0.0.1',
    local_port: port,
    method,
    password,
    ...settings,
  };
  return startFromFile(impl, 'client', config, port, flagsOf(impl, method));
}

/** All implementations take the same fields in a configuration file, which is part of what is tested. */
async function startFromFile(
  impl: Implementation,
  end: 'server' | 'client',
  config: object,
  port: number,
  flags: readonly string[],
): Promise<End> {
  const directory = await mkdtemp(join(tmpdir(), 'podsocks-interop-'));
  const file = join(directory, 'config.json');
  await writeFile(file, JSON.stringify(config));
  const removeFile = () => rm(directory, { recursive: true, force: true });
  try {
    const run = await startProgram(`${impl} ${end}`, [...commandOf(impl, end), '-c', file, ...flags], port);
    return { ...run, port, stop: () => run.stop().finally(removeFile) };
  } catch (error) {
    await removeFile();
    throw error;
  }
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
