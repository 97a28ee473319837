import { randomBytes } from 'node:crypto';
import type { Target } from '../wire/address.ts';
import { choicesFor } from './backend-fixtures.ts';
import { type BackendChoice, backendFor } from './backends.ts';
import type { ClientSession, DatagramSealer, DatagramServices, OpenedDatagram, ServerDatagrams } from './datagram.ts';
import { clientDatagrams, serverDatagrams } from './datagrams.ts';
import { identityHash } from './key-derivation.ts';
import { METHODS, type Method } from './methods.ts';
import { replayFilter } from './replay-filter.ts';
import type { Keyring, User } from './stream.ts';

/** Both ends of datagrams in memory, for the tests of the cipher core. */

export interface DatagramCase {
  readonly name: string;
  readonly method: Method;
  readonly choice: BackendChoice;
}

/** Every method under every backend that this machine has for it. */
export const DATAGRAM_CASES: readonly DatagramCase[] = METHODS.flatMap(method =>
  choicesFor(method)
    .filter(choice => choice !== 'auto' || method.aead === 'xchacha20-poly1305')
    .map(choice => ({ name: `${method.name} under ${choice}`, method, choice })),
);

export const CLIENT = { address: '192.0.2.1', port: 40_000 };
export const NOW = 1_700_000_000;

/** Services whose clocks stand still where they are put. */
export interface TestServices extends DatagramServices {
  seconds: number;
  ms: number;
  /** How often the replay filter was told of a salt. */
  salts: number;
}

export function servicesFor(
  method: Method,
  choice: BackendChoice,
  given: Partial<DatagramServices> = {},
): TestServices {
  const filter = replayFilter(method, () => 0, 1);
  const services: TestServices = {
    method,
    backend: backendFor(method, choice),
    random: length => new Uint8Array(randomBytes(length)),
    unixTime: () => services.seconds,
    monotonicMs: () => services.ms,
    padding: () => new Uint8Array(0),
    replays: {
      add(salt) {
        services.salts++;
        return filter.add(salt);
      },
    },
    seconds: NOW,
    ms: 0,
    salts: 0,
    ...given,
  };
  return services;
}

export function keyOf(name: string, { keyBytes }: Method): Uint8Array {
  return Uint8Array.from({ length: keyBytes }, (_, index) => name.charCodeAt(0) + index);
}

/** Who may send: these users, with an identity key where the method has identity headers and there are several. */
export function keyringFor(method: Method, names: readonly string[]): Keyring & { matches: string[] } {
  const users: User[] = names.map(name => ({ name, key: keyOf(name, method) }));
  const matches: string[] = [];
  return {
    identityKey: method.identityHeaders && names.length > 1 ? keyOf('identity', method) : undefined,
    byIdentity: hash => users.find(user => Buffer.compare(identityHash(user.key), hash) === 0),
    candidates: () => users,
    matched: (address, user) => matches.push(`${address} ${user.name}`),
    matches,
  };
}

export interface Ends {
  readonly server: ServerDatagrams;
  readonly client: ClientSession;
  readonly serverServices: TestServices;
  readonly clientServices: TestServices;
  readonly keyring: ReturnType<typeof keyringFor>;
  /** Another session of the same client, or of another user. */
  begin(user?: string): ClientSession;
}

/** A server for `users` (one without an identity header where there is one), and a session of the last of them. */
export function endsOf({ method, choice }: DatagramCase, users: readonly string[] = ['default']): Ends {
  const serverServices = servicesFor(method, choice);
  const clientServices = servicesFor(method, choice);
  const keyring = keyringFor(method, users);
  const begin = (user = users.at(-1)!) =>
    clientDatagrams(clientServices).session({
      key: keyOf(user, method),
      identityKeys: keyring.identityKey ? [keyring.identityKey] : [],
    });
  const server = serverDatagrams(serverServices, keyring);
  return { server, client: begin(), serverServices, clientServices, keyring, begin };
}

/** One datagram, in a buffer no longer than what was promised. */
export function sealOne(sealer: DatagramSealer, target: Target, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + sealer.sealedLength(payload.length));
  const input = Buffer.concat([Buffer.alloc(3), payload]);
  return out.slice(2, 2 + sealer.seal(out, 2, target, input, 3, payload.length));
}

/** What an opener makes of a datagram that stands inside a buffer, as if it were one that is used again. */
export function openAt<Opened extends OpenedDatagram>(
  open: (out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number) => Opened,
  datagram: Uint8Array,
): { opened: Opened; payload: Buffer } {
  const input = Buffer.concat([Buffer.alloc(5), datagram, Buffer.alloc(2)]);
  const out = Buffer.alloc(7 + datagram.length);
  const opened = open(out, 7, input, 5, datagram.length);
  input.fill(0xee);
  const payload = Buffer.from(out.subarray(opened.payloadAt, opened.payloadAt + opened.payloadLength));
  out.fill(0xee);
  return { opened, payload };
}

export function openAtServer(server: ServerDatagrams, datagram: Uint8Array, from = CLIENT) {
  return openAt((...args) => server.open(...args, from), datagram);
}

export function openAtClient(client: ClientSession, datagram: Uint8Array) {
  return openAt((...args) => client.open(...args), datagram);
}
