import type { Accepted, RequestOpener } from '@podsocks/shared/crypto/stream';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import { decodeProxyHeader, HEADER_MAX_BYTES } from './header.ts';

/** Opens a request that comes behind a header of the PROXY protocol. */
export class ProxiedOpener implements RequestOpener {
  /** Whose connection it is: as the header says, and until then, or where it does not, the other end of the socket. */
  client: Origin;
  readonly #openRequest: (clientAddress: string) => RequestOpener;
  /** Of the header, what has come before. */
  #held: Uint8Array | undefined;
  #opener: RequestOpener | undefined;

  /**
   * @param peer the other end of the socket.
   * @param openRequest makes the opener for what follows.
   */
  constructor(peer: Origin, openRequest: (clientAddress: string) => RequestOpener) {
    this.client = peer;
    this.#openRequest = openRequest;
  }

  get accepted(): Accepted | undefined {
    return this.#opener?.accepted;
  }

  openedLength(length: number): number {
    return this.#opener === undefined ? length : this.#opener.openedLength(length);
  }

  /** @throws PodsocksError ERR_HEADER when the header is none, and all that the opener of requests does. */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    if (this.#opener !== undefined) return this.#opener.open(out, outAt, input, inputAt, length);
    const held = this.#held;
    const came = input.subarray(inputAt, inputAt + length);
    const begun = held === undefined ? came : Buffer.concat([held, came.subarray(0, HEADER_MAX_BYTES - held.length)]);
    const header = decodeProxyHeader(begun, 0, begun.length);
    if (header === undefined) {
      this.#held = new Uint8Array(begun); // the input is another connection's after this call
      return 0;
    }
    this.#held = undefined;
    this.client = header.client ?? this.client;
    this.#opener = this.#openRequest(this.client.address);
    const taken = header.length - (held?.length ?? 0);
    return taken === length ? 0 : this.#opener.open(out, outAt, input, inputAt + taken, length - taken);
  }

  end(): void {
    this.#opener?.end();
  }

  close(): void {
    this.#opener?.close();
  }
}
