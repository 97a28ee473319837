import { PodsocksError } from '../runtime/errors.ts';
import {
  decodeClientHeader,
  decodeSeparateHeader,
  decodeServerHeader,
  encodeClientHeader,
  encodeServerHeader,
  MAIN_HEADER_MIN_BYTES,
  type PacketId,
  SEPARATE_HEADER_BYTES,
} from '../wire/sip022-datagram.ts';
import {
  type ClientSession,
  type DatagramServices,
  type Endpoint,
  type OpenedReply,
  type OpenedRequest,
  type RelaySession,
  SESSION_MEMORY_MS,
  type ServerDatagrams,
} from './datagram.ts';
import type { ClientKeys } from './key-derivation.ts';
import { type PacketOpener, packetOpener } from './sip022-packet.ts';
import { HeardSession, SessionSealer } from './sip022-session.ts';
import type { Keyring, User } from './stream.ts';

/** Datagrams of SIP022 (section 3.2), both ends. How their packets look is in sip022-packet.ts. */

/** The sessions of all clients of one port. */
export class Sip022ServerDatagrams implements ServerDatagrams {
  readonly #services: DatagramServices;
  readonly #packets: PacketOpener;
  /** By user first: the separate header is no secret among users (SIP023), so one could name the session of another. */
  readonly #sessions = new WeakMap<User, Map<bigint, Sip022RelaySession>>();

  constructor(services: DatagramServices, keyring: Keyring) {
    this.#services = services;
    this.#packets = packetOpener(services, keyring);
  }

  open(
    out: Uint8Array,
    outAt: number,
    input: Uint8Array,
    inputAt: number,
    length: number,
    from: Endpoint,
  ): OpenedRequest {
    checkLength(this.#packets, length);
    const user = this.#packets.open(out, outAt, input, inputAt, length, from.address, (claimed, header) => {
      const { sessionId, packetId } = decodeSeparateHeader(header, 0);
      const heard = this.#find(claimed, sessionId)?.heard;
      heard?.checkFresh(packetId);
      return heard?.context;
    });
    const { sessionId, packetId } = decodeSeparateHeader(out, outAt);
    const session = this.#find(user, sessionId);
    session?.heard.checkFresh(packetId); // ChaCha20 tells it only now
    const end = outAt + length - this.#packets.overhead;
    const main = decodeClientHeader(out, outAt + SEPARATE_HEADER_BYTES, end, this.#services.unixTime());
    return {
      user,
      session,
      sessionId,
      packetId,
      target: main.target,
      payloadAt: main.payloadAt,
      payloadLength: end - main.payloadAt,
      commit: () => this.#commit(user, sessionId, packetId),
    };
  }

  #find(user: User, sessionId: bigint): Sip022RelaySession | undefined {
    return this.#sessions.get(user)?.get(sessionId);
  }

  #commit(user: User, sessionId: bigint, packetId: PacketId): RelaySession {
    const session = this.#find(user, sessionId) ?? this.#begin(user, sessionId);
    session.heard.commit(packetId, this.#services.monotonicMs());
    return session;
  }

  #begin(user: User, sessionId: bigint): Sip022RelaySession {
    const sessions = this.#sessions.get(user) ?? new Map<bigint, Sip022RelaySession>();
    this.#sessions.set(user, sessions);
    const heard = new HeardSession(this.#packets, user, sessionId);
    const session = new Sip022RelaySession(this.#services, user, heard, () => {
      if (sessions.get(sessionId) === session) sessions.delete(sessionId);
    });
    sessions.set(sessionId, session);
    return session;
  }
}

class Sip022RelaySession extends SessionSealer implements RelaySession {
  readonly user: User;
  readonly heard: HeardSession;
  readonly #forget: () => void;

  constructor(services: DatagramServices, user: User, heard: HeardSession, forget: () => void) {
    super(services, { key: user.key, identityKeys: [] }, (out, at, unixTime, padding, target) =>
      encodeServerHeader(out, at, unixTime, heard.id, padding, target),
    );
    this.user = user;
    this.heard = heard;
    this.#forget = forget;
  }

  override close(): void {
    this.#forget();
    this.heard.close();
    super.close();
  }
}

/** A client's session. Of the server's sessions that answer it, the newest and the one before it are known. */
export class Sip022ClientSession extends SessionSealer implements ClientSession {
  readonly #services: DatagramServices;
  readonly #packets: PacketOpener;
  readonly #server: User;
  #current: HeardSession | undefined;
  #old: HeardSession | undefined;

  constructor(services: DatagramServices, keys: ClientKeys) {
    super(services, keys, encodeClientHeader);
    const server = { name: 'server', key: keys.key };
    this.#services = services;
    this.#server = server;
    // Replies carry no identity headers, and use the user's key for the separate header, too.
    this.#packets = packetOpener(services, {
      identityKey: undefined,
      byIdentity: () => undefined,
      candidates: () => [server],
      matched() {},
    });
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): OpenedReply {
    checkLength(this.#packets, length);
    this.#packets.open(out, outAt, input, inputAt, length, '', (_, header) => {
      const { sessionId, packetId } = decodeSeparateHeader(header, 0);
      const heard = this.#find(sessionId);
      heard?.checkFresh(packetId);
      return heard?.context;
    });
    const { sessionId, packetId } = decodeSeparateHeader(out, outAt);
    this.#check(sessionId, packetId);
    const end = outAt + length - this.#packets.overhead;
    const main = decodeServerHeader(out, outAt + SEPARATE_HEADER_BYTES, end, this.#services.unixTime());
    if (main.clientSessionId !== this.sessionId) {
      throw new PodsocksError('ERR_REPLAY', 'the packet answers another session');
    }
    return {
      sessionId,
      packetId,
      target: main.target,
      payloadAt: main.payloadAt,
      payloadLength: end - main.payloadAt,
      commit: () => this.#commit(sessionId, packetId),
    };
  }

  #find(sessionId: bigint): HeardSession | undefined {
    if (this.#current?.id === sessionId) return this.#current;
    return this.#old?.id === sessionId ? this.#old : undefined;
  }

  /** A server that was started anew has another session; a third one while the first still speaks is a replay. */
  #check(sessionId: bigint, packetId: PacketId): void {
    const heard = this.#find(sessionId);
    if (heard !== undefined) heard.checkFresh(packetId);
    else if (this.#old !== undefined && this.#services.monotonicMs() - this.#old.lastMs < SESSION_MEMORY_MS) {
      throw new PodsocksError('ERR_REPLAY', "the packet is of a third server's session within a minute");
    }
  }

  #commit(sessionId: bigint, packetId: PacketId): void {
    this.#check(sessionId, packetId);
    const heard = this.#find(sessionId) ?? this.#begin(sessionId);
    heard.commit(packetId, this.#services.monotonicMs());
  }

  #begin(sessionId: bigint): HeardSession {
    this.#old?.close();
    this.#old = this.#current;
    this.#current = new HeardSession(this.#packets, this.#server, sessionId);
    return this.#current;
  }

  override close(): void {
    this.#current?.close();
    this.#old?.close();
    super.close();
  }
}

function checkLength({ overhead }: PacketOpener, length: number): void {
  if (length < overhead + SEPARATE_HEADER_BYTES + MAIN_HEADER_MIN_BYTES) {
    throw new PodsocksError('ERR_TRUNCATED', `a datagram of ${length} bytes is shorter than its headers`);
  }
}
