import type { Socket } from 'node:net';

/** Who takes connections, one after the other. */
export interface Receiver {
  /** Calls `handed` when it has the connection. If it ends before, it need not. */
  hand(socket: Socket, handed: () => void): void;
}

/**
 * Hands connections to receivers in turn. One that is busy is left out until it has taken the last; when all are, or
 * there is none, connections wait. Each stays here until it has arrived, so if its receiver ends first another gets it.
 */
export class HandOut {
  /** Since when, oldest first. */
  readonly #waiting = new Map<Socket, number>();
  /** The one that has been idle for longest first. */
  readonly #idle = new Set<Receiver>();
  readonly #onTheWay = new Map<Receiver, Socket>();
  readonly #retired = new WeakSet<Receiver>();
  readonly #mostWaiting: number;
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  /**
   * @param mostWaiting beyond which the oldest of those that wait is closed.
   * @param patience how long one may wait, in milliseconds.
   */
  constructor(mostWaiting: number, patience: number) {
    this.#mostWaiting = mostWaiting;
    this.#timer = setInterval(() => this.#expire(patience), Math.min(1000, patience / 4)).unref();
  }

  offer(socket: Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#waiting.set(socket, performance.now());
    this.#handOut();
    const [oldest] = this.#waiting.keys();
    if (oldest === undefined || this.#waiting.size <= this.#mostWaiting) return;
    this.#waiting.delete(oldest);
    oldest.destroy();
  }

  add(receiver: Receiver): void {
    this.#idle.add(receiver);
    this.#handOut();
  }

  /** It takes no more, but may still get what is on the way to it. */
  retire(receiver: Receiver): void {
    this.#retired.add(receiver);
    this.#idle.delete(receiver);
  }

  /** It has ended. */
  remove(receiver: Receiver): void {
    this.#idle.delete(receiver);
    const socket = this.#onTheWay.get(receiver);
    this.#onTheWay.delete(receiver);
    if (socket !== undefined) this.offer(socket);
  }

  /** Closes those that wait, and whoever comes. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const socket of this.#waiting.keys()) socket.destroy();
    this.#waiting.clear();
  }

  #handOut(): void {
    for (const receiver of this.#idle) {
      const [socket] = this.#waiting.keys();
      if (socket === undefined) return;
      this.#waiting.delete(socket);
      this.#idle.delete(receiver);
      this.#onTheWay.set(receiver, socket);
      receiver.hand(socket, () => {
        if (!this.#onTheWay.delete(receiver)) return; // it has ended, and another has the connection
        socket.destroy(); // this process's descriptor; the connection lives on
        if (!this.#retired.has(receiver)) this.add(receiver);
      });
    }
  }

  #expire(patience: number): void {
    const since = performance.now() - patience;
    for (const [socket, waitsSince] of this.#waiting) {
      if (waitsSince > since) return;
      this.#waiting.delete(socket);
      socket.destroy();
    }
  }
}
