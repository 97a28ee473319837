import type { Target } from '../wire/address.ts';
import type { RequestAddress } from '../wire/request-address.ts';
import type { AeadBackend } from './aead.ts';
import type { ClientKeys } from './key-derivation.ts';
import type { Method } from './methods.ts';
import type { ReplayFilter } from './replay-filter.ts';

/** Plaintext to wire bytes, one direction of one TCP connection. Headers leave with the first bytes. */
export interface StreamSealer {
  /** The most bytes that sealing `length` bytes would write now. */
  sealedLength(length: number): number;

  /**
   * Seals `input[inputAt, +length)` at `out[outAt..]`. With a length of 0 a request writes its header, if that has not
   * left yet, and anything else writes nothing: no peer wants empty chunks.
   *
   * @returns the bytes written.
   */
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number;

  /** Forgets the keys. */
  close(): void;
}

/** Wire bytes to plaintext, one direction of one TCP connection; takes any split of the stream. */
export interface StreamOpener {
  /** The most bytes that opening `length` bytes more would write. */
  openedLength(length: number): number;

  /**
   * Takes all of `input[inputAt, +length)` and writes what can be opened at `out[outAt..]`.
   *
   * @returns the bytes written.
   * @throws PodsocksError: the stream is of no use any more, and nothing of this call must be used.
   */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number;

  /** @throws PodsocksError ERR_TRUNCATED when the stream may not end here. */
  end(): void;

  /** Forgets the keys and gives back buffers. */
  close(): void;
}

/** One who may use the server. */
export interface User {
  readonly name: string;
  readonly key: Uint8Array;
}

/** What a client's first bytes said, once they were authenticated. */
export interface Request extends RequestAddress {
  readonly user: User;
  /** The client's salt, which a SIP022 response repeats. */
  readonly salt: Uint8Array;
}

/** The server's opener. `accepted` appears with the last byte of the header. */
export interface RequestOpener extends StreamOpener {
  readonly accepted: Accepted | undefined;
}

export interface Accepted {
  readonly request: Request;
  /** Opens what follows. From here on the {@link RequestOpener} is not needed: it would only cost memory. */
  readonly stream: StreamOpener;
}

/** The client's sealer. */
export interface RequestSealer extends StreamSealer {
  readonly salt: Uint8Array;
}

/** One generation of the protocol, as a client speaks it. */
export interface ClientStreams {
  /** @param options.wantsStatus asks for a connect status: only servers that are known to be podsocks understand that. */
  sealRequest(keys: ClientKeys, target: Target, options?: { readonly wantsStatus: boolean }): RequestSealer;
  /** @param requestSalt what {@link RequestSealer.salt} says. */
  openResponse(keys: ClientKeys, requestSalt: Uint8Array): StreamOpener;
}

/** One generation of the protocol, as a server speaks it. */
export interface ServerStreams {
  /** @param keyring who may connect, and, for SIP004, in which order keys are tried for this client. */
  openRequest(keyring: Keyring, clientAddress: string): RequestOpener;
  sealResponse(request: Request): StreamSealer;
}

/** Who may connect. */
export interface Keyring {
  /** The key of the outermost identity header (SIP023), or undefined when the server has one key only. */
  readonly identityKey: Uint8Array | undefined;
  /** The user whose BLAKE3(uPSK)[0:16] this is; constant work (SIP023). */
  byIdentity(identity: Uint8Array): User | undefined;
  /** Everybody, the most likely first (SIP004); exactly one for SIP022 without identity headers. */
  candidates(clientAddress: string): Iterable<User>;
  /** Tells who it was, so that the next trial for this client starts there. */
  matched(clientAddress: string, user: User): void;
}

/** What streams need from outside: no module of the cipher core has a clock or randomness of its own. */
export interface StreamServices {
  readonly method: Method;
  readonly backend: AeadBackend;
  /** Fresh, unpredictable bytes. */
  random(length: number): Uint8Array;
  /** Seconds since 1970 (SIP022 timestamps). */
  unixTime(): number;
  /** The salts that this end has taken, and under SIP004 those it has sent. */
  readonly replays: ReplayFilter;
}
