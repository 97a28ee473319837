import type { DropReason } from '@podsocks/shared/net/datagram-counts';
import type { Target } from '@podsocks/shared/wire/address';

/** The way of one association to the server and back. */
export interface Uplink {
  /** Sends `data[at, +length)`, of which nothing is needed any more when this returns. What cannot be sent is dropped. */
  send(target: Target, data: Uint8Array, at: number, length: number): void;
  close(): void;
}

export interface UplinkOptions {
  /** Takes what comes back, `data[at, +length)`, which is valid during the call only. */
  readonly receive: (from: Target, data: Uint8Array, at: number, length: number) => void;
  readonly dropped: (reason: DropReason) => void;
  /** The server cannot be reached. Something may be sent all the same, later. */
  readonly failed: (error: Error) => void;
}

/** How datagrams reach the server: as such, or in a stream. */
export type OpenUplink = (options: UplinkOptions) => Uplink;

/** What waits for an address or a connection; what is more is dropped. */
const MAX_WAITING_BYTES = 128 * 1024;

/** Datagrams that wait until there is a way to send them. */
export class Waiting {
  #held: { readonly target: Target; readonly data: Uint8Array }[] = [];
  #bytes = 0;

  /** Keeps a copy. @returns false when there is no room. */
  add(target: Target, data: Uint8Array, at: number, length: number): boolean {
    if (this.#bytes + length > MAX_WAITING_BYTES || this.#held.length >= MAX_WAITING) return false;
    this.#bytes += length;
    // The slice() of a Buffer would be a view.
    this.#held.push({ target, data: new Uint8Array(data.subarray(at, at + length)) });
    return true;
  }

  /** Gives all of them, in their order, and keeps none. */
  release(give: (target: Target, data: Uint8Array) => void): void {
    const held = this.#held;
    this.#held = [];
    this.#bytes = 0;
    for (const { target, data } of held) give(target, data);
  }
}

const MAX_WAITING = 1024;
