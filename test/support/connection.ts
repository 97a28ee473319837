import type { Socket } from 'node:net';

/** A socket read by asking for bytes, which keeps what arrived beyond them. */
export class Connection {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #ahead: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
    // Reported by the read or write that meets it.
    socket.on('error', () => {});
  }

  /** What arrives next, at most `limit` bytes; undefined at the end. */
  async read(limit = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    if (this.#ahead.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return undefined;
      this.#ahead = next.value;
    }
    const bytes = this.#ahead.subarray(0, limit);
    this.#ahead = this.#ahead.subarray(bytes.length);
    return bytes;
  }

  /** Exactly `length` bytes. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      const part = await this.read(missing);
      if (part === undefined) throw new Error(`connection ended ${missing} bytes before the ${length} expected`);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Everything up to the end. */
  async takeAll(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let part = await this.read(); part !== undefined; part = await this.read()) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Resolves when the bytes have gone to the kernel. */
  send(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, error => (error ? reject(error) : resolve()));
    });
  }

  /** Sends FIN and keeps reading. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
