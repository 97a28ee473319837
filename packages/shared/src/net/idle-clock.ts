/** Something that ends when nothing happens to it. */
export interface Idling {
  /** Set by whoever moves bytes; cleared by the clock. Setting a flag is all that activity costs. */
  active: boolean;
  /** Milliseconds without activity; kept by the clock. */
  idleFor: number;
  /** How many milliseconds it may be idle; may change. */
  readonly idleLimit: number;
  /** It was idle for that long. */
  expire(): void;
}

const MAX_TICK_MS = 1000;

/** One timer for all connections of a process: a timer each, restarted at each read, would cost more than the read. */
export class IdleClock {
  readonly #tick: number;
  readonly #members = new Set<Idling>();
  #timer: NodeJS.Timeout | undefined;

  /** @param shortest the shortest limit of any member, in milliseconds: looks, and so precision, are a quarter of it or 1 s. */
  constructor(shortest: number) {
    this.#tick = Math.min(MAX_TICK_MS, shortest / 4);
  }

  add(member: Idling): void {
    this.#members.add(member);
    this.#timer ??= setInterval(() => this.#look(), this.#tick).unref();
  }

  remove(member: Idling): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const member of this.#members) {
      member.idleFor = member.active ? 0 : member.idleFor + this.#tick;
      member.active = false;
      if (member.idleFor >= member.idleLimit) member.expire();
    }
  }
}
