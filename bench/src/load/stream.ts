import { once } from 'node:events';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { LOOPBACK } from '../ports.ts';
import { type Route, TARGET_HOST } from './commands.ts';

/** One buffer for all connections: what is read is used up before the next read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

/** RFC 1928: version 5, one authentication method: none. */
const GREETING = Uint8Array.of(5, 1, 0);
const COMMANDS = { connect: 1, udpAssociate: 3 } as const;
const IPV4 = 1;
const [GREETING_REPLY_BYTES, REPLY_BYTES] = [2, 10];
const REPLY_PORT_AT = 8;
/** Of an association: its datagrams may come from anywhere. */
const ANYWHERE = '0.0.0.0';

/** Takes bytes that are valid during the call only; true when it has all that it waits for. */
type Take = (bytes: Buffer) => boolean;

/** A connection of the load generator. Nothing may arrive that nobody waits for. */
export class Stream {
  readonly socket: Socket;
  #take: Take | undefined;
  #settle: ((error?: Error) => void) | undefined;
  #broken: Error | undefined;
  #ended = false;

  private constructor(port: number) {
    this.socket = connect({
      host: LOOPBACK,
      port,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (length: number) => {
          this.#receive(READ_BUFFER.subarray(0, length));
          return true;
        },
      },
    } as TcpNetConnectOpts);
    this.socket.on('error', error => this.#break(error));
    this.socket.on('end', () => {
      this.#ended = true;
      this.#settle?.(this.#take && new Error('the connection ended too early'));
    });
    this.socket.on('close', () => this.#break(new Error('the connection was closed')));
  }

  /** Connects, and has a SOCKS5 server connect where the route goes through one. */
  static async open({ socksPort, port }: Route): Promise<Stream> {
    const stream = new Stream(socksPort ?? port);
    try {
      await once(stream.socket, 'connect');
      if (socksPort !== undefined) await stream.#handshake('connect', TARGET_HOST, port);
      return stream;
    } catch (error) {
      stream.socket.destroy();
      throw error;
    }
  }

  /** Has a SOCKS5 server relay datagrams from a port of loopback, for as long as this connection stays. */
  static async associate(socksPort: number): Promise<{ control: Stream; relayPort: number }> {
    const control = await Stream.open({ socksPort: undefined, port: socksPort });
    try {
      return { control, relayPort: await control.#handshake('udpAssociate', ANYWHERE, 0) };
    } catch (error) {
      control.socket.destroy();
      throw error;
    }
  }

  /** Gives the port of the reply. */
  async #handshake(command: keyof typeof COMMANDS, host: string, port: number): Promise<number> {
    this.socket.write(GREETING);
    const greeting = await this.read(GREETING_REPLY_BYTES);
    if (greeting[1] !== 0) throw new Error(`the SOCKS5 server asks for authentication method ${greeting[1]}`);
    const address = host.split('.').map(Number);
    this.socket.write(Uint8Array.of(5, COMMANDS[command], 0, IPV4, ...address, port >> 8, port & 0xff));
    const reply = await this.read(REPLY_BYTES);
    if (reply[1] !== 0) throw new Error(`the SOCKS5 server replies ${reply[1]}`);
    return reply.readUInt16BE(REPLY_PORT_AT);
  }

  /** Exactly so many bytes. */
  async read(length: number): Promise<Buffer> {
    const result = Buffer.allocUnsafe(length);
    let received = 0;
    await this.receiveUntil(bytes => {
      if (received + bytes.length > length) throw new Error(`more than the ${length} bytes that were due`);
      received += bytes.copy(result, received);
      return received === length;
    });
    return result;
  }

  /** Counts so many bytes without looking at them. */
  async skip(length: number): Promise<void> {
    let received = 0;
    try {
      await this.receiveUntil(bytes => {
        received += bytes.length;
        return received >= length;
      });
    } catch (error) {
      throw new Error(`${received} of ${length} bytes were received: ${(error as Error).message}`);
    }
    if (received > length) throw new Error(`${received} bytes were received instead of ${length}`);
  }

  /** Gives what arrives to `take` until that returns true. Rejects if the connection ends or breaks before. */
  receiveUntil(take: Take): Promise<void> {
    if (this.#ended) return Promise.reject(new Error('the connection ended too early'));
    return this.#wait(take);
  }

  /** Waits for the peer's FIN, with no byte before it. */
  end(): Promise<void> {
    return this.#ended ? Promise.resolve() : this.#wait(undefined);
  }

  #wait(take: Take | undefined): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken);
    this.#take = take;
    return new Promise((resolve, reject) => {
      this.#settle = error => {
        this.#take = undefined;
        this.#settle = undefined;
        if (error) reject(error);
        else resolve();
      };
    });
  }

  #receive(bytes: Buffer): void {
    try {
      if (!this.#take) throw new Error(`${bytes.length} bytes arrived that nobody waits for`);
      if (this.#take(bytes)) this.#settle?.();
    } catch (error) {
      this.#break(error as Error);
    }
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#settle?.(error);
    this.socket.destroy();
  }
}
