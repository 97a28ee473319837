import type { Origin } from '@podsocks/shared/net/datagram-socket';
import type { Traffic } from '@podsocks/shared/net/traffic';
import type { Target } from '@podsocks/shared/wire/address';

/** What a user wants, and from where. */
export interface SessionRequest {
  readonly user: string;
  readonly client: Origin;
  readonly protocol: 'tcp' | 'udp';
  /** As the client asked; of an association of datagrams undefined, for each of them has its own. */
  readonly target: Target | undefined;
  /** Whether datagrams came in a stream (UDP over TCP). */
  readonly overTcp?: boolean;
}

/** Where a connection or a datagram really went, and who allowed it. */
export interface Route {
  /** As the client asked: a name, or the address itself. */
  readonly target: Target;
  readonly address: string;
  readonly port: number;
  /** As the policy calls it. */
  readonly rule: string;
}

/** Why somebody with a key did not get where they wanted. Labels of metrics and audit records, so they are stable. */
export const REFUSAL_REASONS = [
  'policy',
  'name',
  'unreachable',
  'refused',
  'timeout',
  'limit',
  'expired',
  'descriptors',
  'other',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Refusal {
  readonly reason: RefusalReason;
  /** In words, without secrets. */
  readonly message: string;
  readonly target: Target | undefined;
  /** What denied it, where the policy did. */
  readonly rule?: string;
}

/**
 * How a session ended: by whom in order, by whose reset or failure, because nothing moved (`idle`), because what the client
 * sent was altered or cut (`broken`), because its user may no longer be here (`revoked`), or because of the server's end
 * (`shutdown`) or want of room (`room`).
 */
export type SessionEnd =
  | 'client'
  | 'target'
  | 'client-reset'
  | 'target-reset'
  | 'idle'
  | 'broken'
  | 'revoked'
  | 'room'
  | 'shutdown';

/** Is told of what users do. What it is given must not be changed, and it must not throw. */
export interface SessionObserver {
  /** The session reached its target; of datagrams: the first one. */
  opened?(session: Session): void;
  /** The session, or one of the targets of an association, was refused. */
  refused?(session: Session, refusal: Refusal): void;
  /** A session that was opened has ended. */
  closed?(session: Session, end: SessionEnd): void;
}

/** Targets of an association that are remembered one by one. */
const MOST_ROUTES = 32;

/**
 * A connection or an association of a user, from the moment that its first bytes were authenticated. Whoever serves it tells
 * it what becomes of it.
 */
export class Session {
  /** Tells it from all others, of other processes, too. */
  readonly id: string;
  readonly request: SessionRequest;
  /** What went through so far. */
  readonly traffic: Readonly<Traffic>;
  /** Milliseconds, on a clock that never steps back. */
  readonly #beganAt = performance.now();
  readonly #observers: readonly SessionObserver[];
  readonly #over: (session: Session) => void;
  readonly #routes: Route[] = [];
  readonly #refused: Refusal[] = [];
  #hasMoreRoutes = false;
  #cause: SessionEnd | undefined;
  #isOver = false;
  readonly #stop: () => void;

  /**
   * @param stop ends the connection or association at once; its server then calls {@link close}.
   * @param over is told when it is over.
   */
  constructor(
    id: string,
    request: SessionRequest,
    traffic: Readonly<Traffic>,
    stop: () => void,
    observers: readonly SessionObserver[],
    over: (session: Session) => void,
  ) {
    this.id = id;
    this.request = request;
    this.traffic = traffic;
    this.#stop = stop;
    this.#observers = observers;
    this.#over = over;
  }

  /** Where it went: of a connection one, of an association the first ones. Empty until it reached something. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Whether there were more than those. */
  get hasMoreRoutes(): boolean {
    return this.#hasMoreRoutes;
  }

  /** Milliseconds since it began. */
  get age(): number {
    return performance.now() - this.#beganAt;
  }

  /** Whether it need not be told any more that it goes there. Asked for each datagram. */
  hasReached(address: string, port: number): boolean {
    for (const route of this.#routes) if (route.port === port && route.address === address) return true;
    return this.#hasMoreRoutes;
  }

  /** It goes to where it was not yet. */
  reached(route: Route): void {
    if (this.#isOver) return;
    if (this.#routes.length === MOST_ROUTES) {
      this.#hasMoreRoutes = true;
      return;
    }
    this.#routes.push(route);
    if (this.#routes.length === 1) for (const observer of this.#observers) observer.opened?.(this);
  }

  /** Somebody said no to it, or to one of its targets. Of an association each target counts once, and so many only. */
  refused(refusal: Refusal): void {
    if (this.#isOver || this.#refused.length === MOST_ROUTES) return;
    const { target, reason } = refusal;
    const isSame = (other: Refusal) =>
      other.reason === reason && other.target?.host === target?.host && other.target?.port === target?.port;
    if (this.#refused.some(isSame)) return;
    this.#refused.push(refusal);
    for (const observer of this.#observers) observer.refused?.(this, refusal);
  }

  /** Ends it, for a reason that its server cannot know. */
  stop(cause: SessionEnd): void {
    if (this.#isOver) return;
    this.#cause ??= cause;
    this.#stop();
  }

  /** It is over. */
  close(end: SessionEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#routes.length > 0) for (const observer of this.#observers) observer.closed?.(this, this.#cause ?? end);
    this.#over(this);
  }
}
