import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { Atyp, formatTarget, type Target } from '@podsocks/shared/wire/address';
import * as socks4 from '@podsocks/shared/wire/socks4';
import * as socks5 from '@podsocks/shared/wire/socks5';
import { authenticate, type SocksUser } from './socks-users.ts';

/**
 * What the bytes so far have come to. In every state `reply` (often empty) goes to the client first.
 *
 * - `more`: wait for more bytes.
 * - `request`: a CONNECT or UDP ASSOCIATE, to be answered with {@link socksReply}. `rest` is what the client sent after it without
 *   waiting. `username` is the user who gave the password, where there are users.
 * - `refused`: close once `reply` is out.
 */
export type SocksProgress =
  | { readonly state: 'more'; readonly reply: Uint8Array }
  | ({ readonly state: 'request'; readonly reply: Uint8Array; readonly rest: Uint8Array } & AcceptedRequest)
  | { readonly state: 'refused'; readonly reply: Uint8Array; readonly error: PodsocksError };

/** What clients may ask for. */
export interface Offered {
  /** CONNECT. */
  readonly tcp: boolean;
  /** UDP ASSOCIATE. */
  readonly udp: boolean;
}

interface AcceptedRequest {
  readonly version: 4 | 5;
  readonly command: 'connect' | 'udpAssociate';
  /** Of UDP ASSOCIATE: where the client will send from, as far as it knows. */
  readonly target: Target;
  readonly username?: string;
}

/** Every message is bounded by its own length bytes, so these three bound the conversation. SOCKS4 has less. */
export const HANDSHAKE_MAX_BYTES =
  socks5.GREETING_MAX_BYTES + socks5.PASSWORD_REQUEST_MAX_BYTES + socks5.REQUEST_MAX_BYTES;

/** The client's half of one SOCKS4, SOCKS4a or SOCKS5 conversation, up to its request. No IO. */
export class SocksHandshake {
  readonly #users: readonly SocksUser[];
  readonly #offered: Offered;
  /** The whole conversation: messages are read in place and never moved. */
  readonly #bytes = new Uint8Array(HANDSHAKE_MAX_BYTES);
  #held = 0;
  /** Where the next message begins. */
  #at = 0;
  #replies: Uint8Array[] = [];
  #username: string | undefined;
  /** Reads the next message and those after it; undefined while more bytes are needed. */
  #read: (() => AcceptedRequest | undefined) | undefined = this.#readVersion;

  constructor(users: readonly SocksUser[], offered: Offered) {
    this.#users = users;
    this.#offered = offered;
  }

  /**
   * Takes the next bytes of the client, `input[0..length)`, and keeps no view of `input`.
   *
   * @throws PodsocksError ERR_ARGUMENT once it has returned `request` or `refused`. It throws nothing else: whatever the
   *   client did wrong (ERR_SOCKS) is in `refused`.
   */
  receive(input: Uint8Array, length: number): SocksProgress {
    if (!this.#read) throw new PodsocksError('ERR_ARGUMENT', 'the SOCKS handshake is over');
    const heldBefore = this.#held;
    const taken = Math.min(length, HANDSHAKE_MAX_BYTES - heldBefore);
    this.#bytes.set(input.subarray(0, taken), heldBefore);
    this.#held += taken;
    try {
      const request = this.#read();
      if (!request) return { state: 'more', reply: this.#takeReplies() };
      this.#read = undefined;
      // The request ended in these bytes, or it would have been complete before them. Not slice(): Buffer's is a view.
      const rest = new Uint8Array(input.subarray(this.#at - heldBefore, length));
      return { state: 'request', ...request, reply: this.#takeReplies(), rest };
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      this.#read = undefined;
      return { state: 'refused', reply: this.#takeReplies(), error };
    }
  }

  #readVersion(): AcceptedRequest | undefined {
    if (this.#held === 0) return undefined;
    const version = this.#bytes[0]!;
    if (version === socks5.SOCKS5_VERSION) return this.#continue(this.#readGreeting);
    if (version === socks4.SOCKS4_VERSION) return this.#continue(this.#readSocks4Request);
    throw new PodsocksError('ERR_SOCKS', describeStranger(version));
  }

  /** RFC 1928 section 3. The only method that will do is the one that the port is set up for. */
  #readGreeting(): AcceptedRequest | undefined {
    const greeting = socks5.decodeGreeting(this.#bytes, this.#at, this.#held);
    if (!greeting) return undefined;
    this.#at += greeting.length;
    const wanted = this.#users.length > 0 ? socks5.AuthMethod.password : socks5.AuthMethod.none;
    if (!greeting.methods.includes(wanted)) {
      throw this.#refusal(
        socks5.encodeMethodSelection(socks5.AuthMethod.noneAcceptable),
        wanted === socks5.AuthMethod.password
          ? 'the client offers no username and password, and this port asks for them: set both in the client'
          : 'the client insists on authentication, and this port has no users: take the username and password out of the client',
      );
    }
    this.#replies.push(socks5.encodeMethodSelection(wanted));
    return this.#continue(wanted === socks5.AuthMethod.password ? this.#readPasswordRequest : this.#readRequest);
  }

  /** RFC 1929. */
  #readPasswordRequest(): AcceptedRequest | undefined {
    const message = socks5.decodePasswordRequest(this.#bytes, this.#at, this.#held);
    if (!message) return undefined;
    this.#at += message.length;
    this.#username = authenticate(this.#users, message.username, message.password);
    if (this.#username === undefined) {
      // Not even the username is named: people paste the password into the wrong field.
      throw this.#refusal(
        socks5.encodePasswordStatus(false),
        "wrong username or password: check both against this port's users",
      );
    }
    this.#replies.push(socks5.encodePasswordStatus(true));
    return this.#continue(this.#readRequest);
  }

  /** RFC 1928 section 4. */
  #readRequest(): AcceptedRequest | undefined {
    let request: ReturnType<typeof socks5.decodeRequest>;
    try {
      request = socks5.decodeRequest(this.#bytes, this.#at, this.#held);
    } catch (cause) {
      if (!(cause instanceof PodsocksError) || cause.code !== 'ERR_ADDRESS') throw cause;
      const isAtypKnown = Object.values<number>(Atyp).includes(this.#bytes[this.#at + 1 + 1 + 1]!);
      const outcome = isAtypKnown ? 'generalFailure' : 'addressTypeNotSupported';
      throw this.#refusal(socksReply(5, outcome), `the SOCKS5 request has no usable target: ${cause.message}`, cause);
    }
    if (!request) return undefined;
    this.#at += request.length;
    return this.#accept(5, request);
  }

  #readSocks4Request(): AcceptedRequest | undefined {
    let request: ReturnType<typeof socks4.decodeRequest>;
    try {
      request = socks4.decodeRequest(this.#bytes, this.#at, this.#held);
    } catch (cause) {
      if (!(cause instanceof PodsocksError)) throw cause;
      throw this.#refusal(
        socksReply(4, 'generalFailure'),
        `the SOCKS4 request has no usable target: ${cause.message}`,
        cause,
      );
    }
    if (!request) return undefined;
    this.#at += request.length;
    if (this.#users.length > 0) {
      throw this.#refusal(
        socksReply(4, 'notAllowed'),
        'SOCKS4 has no password, and this port asks for one: use socks5h:// with username and password',
      );
    }
    return this.#accept(4, request);
  }

  #accept(version: 4 | 5, { command, target }: { command: number; target: Target }): AcceptedRequest {
    const username = this.#username !== undefined && { username: this.#username };
    if (version === 5 && command === socks5.Command.udpAssociate && this.#offered.udp) {
      return { version, command: 'udpAssociate', target, ...username };
    }
    if (command !== socks5.Command.connect || !this.#offered.tcp) {
      const name = COMMAND_NAMES[version][command] ?? `command ${command}`;
      throw this.#refusal(
        socksReply(version, 'commandNotSupported'),
        `SOCKS${version} ${name} ${this.#mend(version, command)}`,
      );
    }
    if (target.port === 0) {
      throw this.#refusal(
        socksReply(version, 'generalFailure'),
        `no program listens on port 0: CONNECT to ${formatTarget(target)} needs another port`,
      );
    }
    return { version, command: 'connect', target, ...username };
  }

  /** Why a command is refused, and what to do. */
  #mend(version: 4 | 5, command: number): string {
    if (command === socks5.Command.connect) return 'is off: ss-local was started for UDP only (-U)';
    if (version === 5 && command === socks5.Command.udpAssociate)
      return 'is off: start ss-local, and ss-server, with -u';
    return 'is not supported: set the client to CONNECT, which is TCP';
  }

  #continue(read: () => AcceptedRequest | undefined): AcceptedRequest | undefined {
    this.#read = read;
    return read.call(this);
  }

  #refusal(reply: Uint8Array, message: string, cause?: PodsocksError): PodsocksError {
    this.#replies.push(reply);
    return new PodsocksError('ERR_SOCKS', message, cause && { cause });
  }

  #takeReplies(): Uint8Array {
    const replies = this.#replies;
    this.#replies = [];
    return Buffer.concat(replies);
  }
}

/** The answer to a request without an address of ours in it. SOCKS4 knows no reasons. */
export function socksReply(version: 4 | 5, outcome: keyof typeof socks5.Reply): Uint8Array {
  if (version === 5) return socks5.encodeReply(socks5.Reply[outcome]);
  return socks4.encodeReply(outcome === 'succeeded' ? socks4.Reply.granted : socks4.Reply.rejected);
}

const COMMAND_NAMES: Record<4 | 5, Record<number, string>> = {
  4: { [socks4.Command.connect]: 'CONNECT', [socks4.Command.bind]: 'BIND' },
  5: {
    [socks5.Command.connect]: 'CONNECT',
    [socks5.Command.bind]: 'BIND',
    [socks5.Command.udpAssociate]: 'UDP ASSOCIATE',
  },
};

/** What speaks when neither SOCKS4 nor SOCKS5 does, from its first byte: a client has been given the wrong kind of URL. */
function describeStranger(byte: number): string {
  if (byte === 0x16)
    return 'this looks like TLS; the port is no TLS server, use http:// or socks5h:// in place of https://';
  return `the first byte is 0x${byte.toString(16).padStart(2, '0')}, which is neither SOCKS nor HTTP; use socks5h:// in the client`;
}
