/** Ahead of each message by TCP, its length (RFC 1035 section 4.2.2). */
const LENGTH_BYTES = 2;

/** A message with its length ahead. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  frame.writeUInt16BE(message.length, 0);
  frame.set(message, LENGTH_BYTES);
  return frame;
}

/** Messages out of a stream, however it is cut. */
export class MessageFrames {
  readonly #mostBytes: number;
  #parts: Buffer[] = [];
  #held = 0;
  #wanted = LENGTH_BYTES;

  /** @param mostBytes of a message; who sends more is not listened to. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /**
   * Takes what came next.
   *
   * @returns the messages that are whole now; undefined after one that is too long.
   */
  take(chunk: Buffer): Buffer[] | undefined {
    if (chunk.length === 0) return [];
    this.#parts.push(chunk);
    this.#held += chunk.length;
    const messages: Buffer[] = [];
    // Joined when there is something to read, not at each chunk: byte by byte that would be quadratic.
    while (this.#held >= this.#wanted) {
      const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
      const end = LENGTH_BYTES + bytes.readUInt16BE(0);
      if (end - LENGTH_BYTES > this.#mostBytes) return undefined;
      const isWhole = bytes.length >= end;
      if (isWhole) messages.push(bytes.subarray(LENGTH_BYTES, end));
      const rest = isWhole ? bytes.subarray(end) : bytes;
      this.#parts = rest.length > 0 ? [rest] : [];
      this.#held = rest.length;
      this.#wanted = isWhole ? LENGTH_BYTES : end;
    }
    return messages;
  }
}
