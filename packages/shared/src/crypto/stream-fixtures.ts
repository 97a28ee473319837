import { randomBytes } from 'node:crypto';
import type { Target } from '../wire/address.ts';
import { backendFor } from './backends.ts';
import { type ClientKeys, identityHash } from './key-derivation.ts';
import { METHODS, type Method } from './methods.ts';
import { replayFilter } from './replay-filter.ts';
import type { Keyring, StreamOpener, StreamSealer, StreamServices, User } from './stream.ts';
import { clientStreams, serverStreams } from './streams.ts';

/** Both ends of a stream in memory, for the tests of the cipher core. */

export interface MethodCase {
  readonly name: string;
  readonly method: Method;
  /** Under a backend in JavaScript: smaller amounts will do. */
  readonly slow: boolean;
}

export const METHOD_CASES: readonly MethodCase[] = METHODS.map(method => ({
  name: method.name,
  method,
  slow: backendFor(method, 'auto').name === 'noble',
}));

export const ALICE = 'alice';
export const BOB = 'bob';
const NOW = 1_700_000_000;

function keyOf(name: string, method: Method): Uint8Array {
  return Uint8Array.from({ length: method.keyBytes }, (_, index) => name.charCodeAt(0) + index);
}

/** The server's side of who may connect: one user "default", or alice and bob. */
export function keyringFor({ method }: MethodCase, withUsers = false): Keyring {
  const users: User[] = (withUsers ? [ALICE, BOB] : ['default']).map(name => ({ name, key: keyOf(name, method) }));
  const identityKey = withUsers && method.identityHeaders ? keyOf('identity', method) : undefined;
  return {
    identityKey,
    byIdentity: hash => users.find(user => Buffer.compare(identityHash(user.key), hash) === 0),
    candidates: () => users,
    matched() {},
  };
}

/** A client and a server that know each other. `clientOffset` is what the client's clock is ahead, in seconds. */
export function connect(
  testCase: MethodCase,
  target: Target,
  { user, clientOffset = 0, wantsStatus = false }: { user?: string; clientOffset?: number; wantsStatus?: boolean } = {},
) {
  const { method } = testCase;
  const backend = backendFor(method, 'auto');
  const services = (now: number): StreamServices => ({
    method,
    backend,
    random: length => new Uint8Array(randomBytes(length)),
    unixTime: () => now,
    replays: replayFilter(method, () => 0, 1),
  });
  const server = serverStreams(services(NOW));
  const client = clientStreams(services(NOW + clientOffset));
  const keyring = keyringFor(testCase, user !== undefined);
  const keys: ClientKeys = {
    key: keyOf(user ?? 'default', method),
    identityKeys: keyring.identityKey ? [keyring.identityKey] : [],
  };
  const sealer = client.sealRequest(keys, target, { wantsStatus });
  const opener = server.openRequest(keyring, '192.0.2.1');
  return {
    server,
    sealer,
    opener,
    openResponse: () => client.openResponse(keys, sealer.salt),
    respond: () => {
      const key = keyOf(user ?? 'default', method);
      return server.sealResponse({ target, wantsStatus, user: { name: user ?? 'default', key }, salt: sealer.salt });
    },
  };
}

/** The bytes of a request, as a client would send them at once. */
export function flight(testCase: MethodCase, target: Target, payload: Uint8Array): Uint8Array {
  return sealAll(connect(testCase, target).sealer, [payload]);
}

export function sealAll(sealer: StreamSealer, payloads: readonly Uint8Array[]): Uint8Array {
  const parts = payloads.map(payload => {
    const out = new Uint8Array(sealer.sealedLength(payload.length));
    return out.subarray(0, sealer.seal(out, 0, payload, 0, payload.length));
  });
  return Uint8Array.from(Buffer.concat(parts));
}

/** Opens the parts in order, each in a buffer of its own that is destroyed afterwards, as a shared read buffer is. */
export function feed(opener: StreamOpener, parts: readonly Uint8Array[]): Buffer {
  const opened = parts.map(part => {
    const input = Buffer.concat([Buffer.alloc(3), part]);
    const out = Buffer.alloc(opener.openedLength(part.length));
    const length = opener.open(out, 0, input, 3, part.length);
    input.fill(0xee);
    return Buffer.from(out.subarray(0, length));
  });
  return Buffer.concat(opened);
}

/** Cuts bytes at the given places, which may repeat and lie outside. */
export function splits(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...cuts.map(cut => cut % (bytes.length + 1)), 0, bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((place, index) => bytes.subarray(places[index]!, place));
}
