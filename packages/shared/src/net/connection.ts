import { Socket, type SocketConstructorOpts, type TcpNetConnectOpts } from 'node:net';

/**
 * Takes bytes that have just arrived: `input[0, length)`, valid during the call only, because the next read of any
 * connection overwrites them.
 *
 * @returns false to stop reading until `socket.resume()`.
 */
export type BytesHandler = (input: Uint8Array, length: number) => boolean;

/**
 * What one read takes at most. One process-wide buffer: a byte read costs half of one through 'data' events, which
 * allocate 64 KiB each (bench/README.md). A little under 256 KiB, so that its chunks fit a pooled buffer of that size.
 */
export const READ_BYTES = 255 * 1024;

/** libuv posts reads ahead on Windows, so there every socket needs a buffer of its own. */
const SHARED_READ_BUFFER = process.platform === 'win32' ? undefined : Buffer.allocUnsafeSlow(READ_BYTES);
const WINDOWS_READ_BYTES = 64 * 1024;

/**
 * After so many reads that filled the buffer, the others get their turn. libuv alone would read 32 times, which is 8 MiB or
 * 10 ms of one stream, and a new connection, which needs several turns, would wait 40 ms beside a download.
 */
const READS_AT_A_STRETCH = 2;

/** What is used of Node's TCP handles, whose methods return 0 or a negative error number. */
interface Handle {
  readStart(): number;
  getpeername(out: object): number;
}

/** A TCP connection whose bytes are handed to `receive` without a copy and without an allocation. */
export class Connection {
  readonly socket: Socket;
  /** Who takes the bytes now. To be set before reading starts. */
  receive: BytesHandler = () => false;
  /** Set when what was sent is not the whole: then it must not end with a FIN. */
  incomplete = false;
  #fullReads = 0;

  private constructor(handle: unknown) {
    this.socket = new Socket({
      handle,
      allowHalfOpen: true,
      onread: {
        buffer: SHARED_READ_BUFFER ?? Buffer.allocUnsafeSlow(WINDOWS_READ_BYTES),
        callback: (length: number, buffer: Uint8Array) => this.#read(buffer, length),
      },
    } as SocketConstructorOpts);
    this.socket.on('error', ignore);
  }

  /**
   * Takes over a socket that a server with `pauseOnConnect` has just accepted; `accepted` is of no use afterwards.
   * Reading begins with the next turn of the event loop.
   *
   * Node offers `onread` for sockets that connect, not for those that are accepted, so the connection's handle is moved
   * to a socket made for it, as Node's own cluster module does.
   */
  static adopt(accepted: Socket): Connection {
    const shell = accepted as Socket & { _handle: unknown };
    const handle = shell._handle;
    shell._handle = null;
    shell.destroy(); // takes it off its server's count
    return new Connection(handle);
  }

  /** @returns false to stop reading. */
  #read(buffer: Uint8Array, length: number): boolean {
    if (!this.receive(buffer, length)) return false;
    this.#fullReads = length === buffer.length ? this.#fullReads + 1 : 0;
    if (this.#fullReads < READS_AT_A_STRETCH) return true;
    this.#fullReads = 0;
    setImmediate(() => {
      if (!this.socket.destroyed && !this.socket.isPaused()) this.socket.resume();
    });
    return false;
  }

  /** Starts to connect. Reading begins with `socket.resume()`. */
  static connect(options: TcpNetConnectOpts): Connection {
    const connection = new Connection(undefined);
    connection.socket.pause();
    connection.socket.connect(options);
    return connection;
  }

  /**
   * After 'end': calls `confirmed` if the peer has really ended in order; if it has reset, 'error' follows instead.
   *
   * Where a RST comes behind data that was not read yet, libuv sees the hang-up and reports an end without asking the kernel
   * which it was. A socket that was reset has no peer any more, one that got a FIN has. If there is none, which is also so
   * after both have ended, reading once more tells; the answer is there by the next turn of the event loop.
   */
  confirmEnd(confirmed: () => void): void {
    const { socket } = this;
    const { _handle: handle } = socket as Socket & { _handle: Handle | null };
    if (handle?.getpeername({}) === 0) {
      confirmed();
      return;
    }
    handle?.readStart();
    // The first comes before the next poll, the second behind it.
    setImmediate(() =>
      setImmediate(() => {
        if (!socket.errored) confirmed();
      }),
    );
  }

  /** Ends it: with FIN, or with RST when what was sent is not the whole. */
  close(): void {
    if (this.incomplete) this.reset();
    else this.socket.destroy();
  }

  /** Ends it with RST, so that the peer cannot take what it has got for the whole. */
  reset(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    // libuv refuses a reset while a FIN is queued (EINVAL), and Node then never closes the handle. That FIN was due:
    // it was queued because the source had ended in order.
    const isShuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    if (socket.connecting || isShuttingDown) socket.destroy();
    else socket.resetAndDestroy();
  }
}

/** Whoever cares listens too; an error that nobody waits for any more must not end the process. 'close' follows it. */
function ignore(): void {}
