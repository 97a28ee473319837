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
import { ClosedSessions } from './sip022-closed-sessions.ts';
import { type PacketOpener, packetOpener } from './sip022-packet.ts';
import { checkFresh, HeardSession, SessionSealer } from './sip022-session.ts';
import type { Keyring, User } from './stream.ts';

/** Datagrams of SIP022 (section 3.2), both ends. How their packets look is in sip022-packet.ts. */

/** The sessions of all clients of one port. */
export class Sip022ServerDatagrams implements ServerDatagrams {
  readonly #services: DatagramServices;
  readonly #packets: PacketOpener;
  /** By user first: the separate header is no secret among users (SIP023), so one could name the session of another. */
  readonly #sessions = new WeakMap<User, UserSessions>();

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
      return this.#check(claimed, sessionId, packetId)?.heard.context;
    });
    const { sessionId, packetId } = decodeSeparateHeader(out, outAt);
    const session = this.#check(user, sessionId, packetId); // ChaCha20 tells it only now
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

  /**
   * @returns the session, if it is open.
   * @throws PodsocksError ERR_REPLAY.
   */
  #check(user: User, sessionId: bigint, packetId: PacketId): Sip022RelaySession | undefined {
    const known = this.#sessions.get(user);
    const session = known?.open.get(sessionId);
    const window = session?.heard.window ?? known?.closed.windowOf(sessionId, this.#services.monotonicMs());
    if (window !== undefined) checkFresh(window, packetId);
    return session;
  }

  #commit(user: User, sessionId: bigint, packetId: PacketId): RelaySession {
    const now = this.#services.monotonicMs();
    const session = this.#sessions.get(user)?.open.get(sessionId);
    if (session !== undefined) {
      session.heard.commit(packetId, now);
      return session;
    }
    this.#check(user, sessionId, packetId); // it may have been committed, and closed, since it was opened
    const begun = this.#begin(user, sessionId, now);
    begun.heard.commit(packetId, now);
    return begun;
  }

  #begin(user: User, sessionId: bigint, now: number): Sip022RelaySession {
    const { open, closed } = this.#sessionsOf(user);
    const window = closed.windowOf(sessionId, now);
    closed.begin(sessionId, now);
    const heard = new HeardSession(this.#packets, user, sessionId, window);
    const session = new Sip022RelaySession(this.#services, user, heard, () => {
      if (open.get(sessionId) !== session) return;
      open.delete(sessionId);
      closed.add(heard, this.#services.monotonicMs());
    });
    open.set(sessionId, session);
    return session;
  }

  #sessionsOf(user: User): UserSessions {
    const known = this.#sessions.get(user);
    if (known !== undefined) return known;
    const sessions = { open: new Map<bigint, Sip022RelaySession>(), closed: new ClosedSessions() };
    this.#sessions.set(user, sessions);
    return sessions;
  }
}

interface UserSessions {
  readonly open: Map<bigint, Sip022RelaySession>;
  readonly closed: ClosedSessions;
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
