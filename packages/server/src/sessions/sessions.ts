import { randomBytes } from 'node:crypto';
import type { Traffic } from '@podsocks/shared/net/traffic';
import { type Refusal, Session, type SessionEnd, type SessionObserver, type SessionRequest } from './session.ts';

/** All that users do at the moment, by user. */
export class Sessions {
  readonly #observers: readonly SessionObserver[];
  readonly #ofUser = new Map<string, Set<Session>>();
  /** Tells the sessions of this process from those of others. */
  readonly #prefix = randomBytes(4).toString('hex');
  #begun = 0;
  /** Wait for one to be over. */
  readonly #waiting = new Set<() => void>();

  constructor(observers: readonly SessionObserver[]) {
    this.#observers = observers;
  }

  /** @see Session */
  begin(request: SessionRequest, traffic: Readonly<Traffic>, stop: () => void): Session {
    const { user } = request;
    const id = `${this.#prefix}-${++this.#begun}`;
    const session = new Session(id, request, traffic, stop, this.#observers, over => this.#remove(over));
    const others = this.#ofUser.get(user);
    if (others) others.add(session);
    else this.#ofUser.set(user, new Set([session]));
    return session;
  }

  /** Tells of one that is refused before there is anything to end. */
  refuse(request: SessionRequest, refusal: Refusal): void {
    const session = this.begin(request, { bytesUp: 0, bytesDown: 0 }, () => {});
    session.refused(refusal);
    session.close('revoked');
  }

  /** Of one user. */
  of(user: string): ReadonlySet<Session> {
    return this.#ofUser.get(user) ?? NONE;
  }

  /** Who has any. */
  get users(): Iterable<string> {
    return this.#ofUser.keys();
  }

  /** Ends all of one user. */
  stopUser(user: string, cause: SessionEnd): void {
    for (const session of [...this.of(user)]) session.stop(cause);
  }

  /** Resolves when none is left that has reached something: a moment after its server has ended them all. */
  async closed(): Promise<void> {
    while (this.#hasOpened()) await new Promise<void>(resolve => this.#waiting.add(resolve));
  }

  #hasOpened(): boolean {
    for (const sessions of this.#ofUser.values()) {
      for (const { routes } of sessions) if (routes.length > 0) return true;
    }
    return false;
  }

  #remove(session: Session): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
    const { user } = session.request;
    const others = this.#ofUser.get(user);
    others?.delete(session);
    if (others?.size === 0) this.#ofUser.delete(user);
  }
}

const NONE: ReadonlySet<Session> = new Set();
