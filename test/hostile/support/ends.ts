import { randomBytes } from 'node:crypto';
import { startClient } from '@podsocks/client/client';
import type { ClientConfig } from '@podsocks/client/config';
import type { ServerConfig } from '@podsocks/server/config';
import type { RunningServer } from '@podsocks/server/server';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import { type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from '../../support/allow-loopback.ts';
import { backendUnderTest } from '../../support/backend-under-test.ts';
import { startOwnServer, WORKERS } from '../../support/own-server.ts';
import { PLAIN_CLIENT } from '../../support/plain-client.ts';

/** A way for the two ends to speak: what an attacker can do depends on it. */
export interface Scheme {
  readonly name: string;
  readonly method: Method;
  /** SIP023: an identity header names one of two users. */
  readonly hasUsers: boolean;
}

export const SIP004: Scheme = { name: 'SIP004', method: methodNamed('aes-256-gcm'), hasUsers: false };
export const SIP022: Scheme = { name: 'SIP022', method: methodNamed('2022-blake3-aes-128-gcm'), hasUsers: false };
export const SIP023: Scheme = { name: 'SIP023', method: methodNamed('2022-blake3-aes-256-gcm'), hasUsers: true };
const SCHEMES = [SIP004, SIP022, SIP023];

/** The same under every scheme, all at once: these tests mostly wait for deadlines. */
export async function underEachScheme(run: (scheme: Scheme) => Promise<void>): Promise<void> {
  await Promise.all(
    SCHEMES.map(scheme =>
      run(scheme).catch(error => {
        error.message = `${scheme.name}: ${error.message}`;
        throw error;
      }),
    ),
  );
}

/** The keys of a client, which an attacker does not have, and those of the server it belongs to. */
export interface Keys {
  readonly client: ClientKeys;
  readonly server: Pick<ServerConfig, 'key' | 'users'>;
}

export function freshKeys({ method, hasUsers }: Scheme): Keys {
  const key = freshKey(method);
  if (!hasUsers) return { client: { key, identityKeys: [] }, server: { key, users: [] } };
  const [alice, bob] = [freshKey(method), freshKey(method)];
  const users = [
    { name: 'alice', key: alice },
    { name: 'bob', key: bob },
  ];
  return { client: { key: bob, identityKeys: [key] }, server: { key, users } };
}

export function freshKey(method: Method): Uint8Array {
  return new Uint8Array(randomBytes(method.keyBytes));
}

/** Long enough that no test meets them unless it sets its own. */
export const COMMON = {
  timeout: 60_000,
  connectTimeout: 10_000,
  handshakeTimeout: 60_000,
  drainTimeout: 60_000,
  mode: 'tcp_only',
  ipv6First: false,
  noDelay: true,
  reusePort: false,
  cryptoBackend: backendUnderTest(SIP022.method), // whoever can do one AES can do the other
} as const;

export const LOOPBACK = [{ host: '127.0.0.1', port: 0 }];

/** An ss-server under attack. */
export interface Attackable {
  readonly scheme: Scheme;
  readonly keys: Keys;
  readonly port: number;
}

/** One in this process. */
export interface Victim extends Attackable {
  readonly server: RunningServer;
}

/** Starts ss-server for one test, which fails if the server logs an error: that is for faults of its own. */
export async function startVictim(scheme: Scheme, settings: Partial<ServerConfig> = {}): Promise<Victim> {
  const keys = freshKeys(scheme);
  const config: ServerConfig = {
    ...COMMON,
    listen: LOOPBACK,
    method: scheme.method,
    workers: WORKERS,
    udpTimeout: 300_000,
    policy: ALLOW_LOOPBACK,
    ...keys.server,
    ...settings,
  };
  const server = await startOwnServer(config, { log: errorsFailTheTest() });
  onTestFinished(() => server.close());
  return { scheme, keys, server, port: server.addresses[0]!.port };
}

export interface Local {
  readonly socksPort: number;
  drain(): Promise<void>;
}

/** Starts ss-local for one test, which fails if it logs an error; its server is at `serverPort`. */
export async function startLocal(
  { method }: Scheme,
  keys: ClientKeys,
  serverPort: number,
  settings: Partial<ClientConfig> = {},
): Promise<Local> {
  const servers = [{ host: '127.0.0.1', port: serverPort, method, keys }];
  const config: ClientConfig = { ...COMMON, listen: LOOPBACK, servers, ...PLAIN_CLIENT, ...settings };
  const client = await startClient(config, { log: errorsFailTheTest() });
  onTestFinished(() => client.close());
  return { socksPort: client.addresses[0]!.port, drain: () => client.drain() };
}

function errorsFailTheTest() {
  const lines: string[] = [];
  onTestFinished(() => expect(lines, 'what was logged as an error').toEqual([]));
  return createLogger({
    level: 'error',
    format: 'json',
    name: 'hostile',
    destination: { write: (line: string) => void lines.push(line) },
  });
}
