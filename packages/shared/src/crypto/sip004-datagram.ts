import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, type Target } from '../wire/address.ts';
import {
  type ClientSession,
  type DatagramSealer,
  type DatagramServices,
  datagramTooLong,
  type Endpoint,
  MAX_DATAGRAM_BYTES,
  type OpenedDatagram,
  type OpenedReply,
  type OpenedRequest,
  type RelaySession,
  type ServerDatagrams,
} from './datagram.ts';
import { TAG_BYTES } from './methods.ts';
import { sip004Context } from './session-context.ts';
import type { Keyring, User } from './stream.ts';

/*
 * SIP004, each way. Every packet has a subkey of its own, so its nonce is zero:
 *
 *   +-----------------+-------------------------------+
 *   | salt            | seal(ADDR | payload)          |
 *   +-----------------+-------------------------------+
 *     as long as key    ADDR: where it shall go, or where it came from
 *
 * Nothing but the salts tells a packet that was given before, or one of our own that comes back.
 */

class Sip004DatagramSealer implements DatagramSealer {
  readonly #services: DatagramServices;
  readonly #key: Uint8Array;

  constructor(services: DatagramServices, key: Uint8Array) {
    this.#services = services;
    this.#key = key;
  }

  sealedLength(length: number): number {
    return Math.min(this.#services.method.keyBytes + ADDRESS_MAX_BYTES + length + TAG_BYTES, MAX_DATAGRAM_BYTES);
  }

  seal(out: Uint8Array, outAt: number, target: Target, input: Uint8Array, inputAt: number, length: number): number {
    const { method, random, replays } = this.#services;
    if (length > MAX_DATAGRAM_BYTES) throw datagramTooLong(length);
    const plain = buffers.take(ADDRESS_MAX_BYTES + length);
    try {
      const payloadAt = encodeAddress(plain, 0, target);
      const sealedLength = method.keyBytes + payloadAt + length + TAG_BYTES;
      if (sealedLength > MAX_DATAGRAM_BYTES) throw datagramTooLong(length);
      plain.set(input.subarray(inputAt, inputAt + length), payloadAt);
      const salt = random(method.keyBytes);
      replays.add(salt); // so that our own bytes cannot be reflected to us
      out.set(salt, outAt);
      const aead = sip004Context(this.#services, this.#key, salt);
      aead.seal(out, outAt + salt.length, plain, 0, payloadAt + length);
      aead.close();
      return sealedLength;
    } finally {
      buffers.give(plain);
    }
  }

  close(): void {}
}

/** All clients of one port, each known by its address and its user. */
export class Sip004ServerDatagrams implements ServerDatagrams {
  readonly #services: DatagramServices;
  readonly #keyring: Keyring;
  readonly #sessions = new WeakMap<User, Map<string, Sip004RelaySession>>();

  constructor(services: DatagramServices, keyring: Keyring) {
    this.#services = services;
    this.#keyring = keyring;
  }

  open(
    out: Uint8Array,
    outAt: number,
    input: Uint8Array,
    inputAt: number,
    length: number,
    from: Endpoint,
  ): OpenedRequest {
    const { salt, user, opened } = openWithOne(
      this.#services,
      this.#keyring.candidates(from.address),
      out,
      outAt,
      input,
      inputAt,
      length,
    );
    const client = `${from.address}|${from.port}`;
    return {
      ...opened,
      user,
      session: this.#sessions.get(user)?.get(client),
      commit: () => {
        addFresh(this.#services, salt);
        this.#keyring.matched(from.address, user);
        return this.#sessions.get(user)?.get(client) ?? this.#begin(user, client);
      },
    };
  }

  #begin(user: User, client: string): RelaySession {
    const sessions = this.#sessions.get(user) ?? new Map<string, Sip004RelaySession>();
    this.#sessions.set(user, sessions);
    const session = new Sip004RelaySession(this.#services, user, () => {
      if (sessions.get(client) === session) sessions.delete(client);
    });
    sessions.set(client, session);
    return session;
  }
}

class Sip004RelaySession extends Sip004DatagramSealer implements RelaySession {
  readonly user: User;
  readonly #forget: () => void;

  constructor(services: DatagramServices, user: User, forget: () => void) {
    super(services, user.key);
    this.user = user;
    this.#forget = forget;
  }

  override close(): void {
    this.#forget();
  }
}

export class Sip004ClientSession extends Sip004DatagramSealer implements ClientSession {
  readonly #services: DatagramServices;
  readonly #server: readonly User[];

  constructor(services: DatagramServices, key: Uint8Array) {
    super(services, key);
    this.#services = services;
    this.#server = [{ name: 'server', key }];
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): OpenedReply {
    const { salt, opened } = openWithOne(this.#services, this.#server, out, outAt, input, inputAt, length);
    return { ...opened, commit: () => addFresh(this.#services, salt) };
  }
}

/** Tries the keys in turn, and reads ADDR with the one that opens. */
function openWithOne(
  services: DatagramServices,
  candidates: Iterable<User>,
  out: Uint8Array,
  outAt: number,
  input: Uint8Array,
  inputAt: number,
  length: number,
): { salt: Uint8Array; user: User; opened: OpenedDatagram } {
  const saltBytes = services.method.keyBytes;
  const plainLength = length - saltBytes - TAG_BYTES;
  if (plainLength <= 0) {
    throw new PodsocksError('ERR_TRUNCATED', `a datagram of ${length} bytes is shorter than its headers`);
  }
  const salt = new Uint8Array(input.subarray(inputAt, inputAt + saltBytes)); // a copy; Buffer.slice would be a view
  for (const user of candidates) {
    const aead = sip004Context(services, user.key, salt);
    const authentic = aead.open(out, outAt, input, inputAt + saltBytes, plainLength);
    aead.close();
    if (authentic) return { salt, user, opened: readAddress(out, outAt, outAt + plainLength) };
  }
  throw new PodsocksError('ERR_AUTHENTICATION', 'no key opens the packet: wrong password, wrong method, or a probe');
}

function readAddress(input: Uint8Array, at: number, end: number): OpenedDatagram {
  const address = decodeAddress(input, at, end);
  if (address === undefined) throw new PodsocksError('ERR_HEADER', 'the packet ends inside its address');
  const payloadAt = at + address.length;
  return {
    target: address.target,
    payloadAt,
    payloadLength: end - payloadAt,
    sessionId: undefined,
    packetId: undefined,
  };
}

/** Asked after authentication, never earlier: before that, anyone could fill the filter. */
function addFresh({ replays }: DatagramServices, salt: Uint8Array): void {
  if (replays.add(salt) !== 'fresh') {
    throw new PodsocksError('ERR_REPLAY', 'the packet was seen before, or is one of our own');
  }
}
