import {
  REFUSAL_REASONS,
  type Refusal,
  type RefusalReason,
  type Session,
  type SessionEnd,
  type SessionObserver,
  type SessionRequest,
} from '../sessions/session.ts';
import { Durations } from './durations.ts';

type Protocol = SessionRequest['protocol'];

/** What one user's sessions of one protocol came to. */
export interface UserTotals {
  readonly user: string;
  readonly protocol: Protocol;
  opened: number;
  open: number;
  bytesUp: number;
  bytesDown: number;
}

/** How many users are counted by name: each has a dozen time series. */
const MOST_USERS = 200;

/** Whoever comes after those. */
export const OTHER_USERS = 'other';

/**
 * Counts what users do. A session costs a few additions when it opens and when it closes, and nothing in between: what has
 * gone through one that is open is looked at when somebody asks.
 */
export class SessionCounts implements SessionObserver {
  readonly refusals = Object.fromEntries(REFUSAL_REASONS.map(reason => [reason, 0])) as Record<RefusalReason, number>;
  readonly ends: Record<SessionEnd, number> = {
    client: 0,
    target: 0,
    'client-reset': 0,
    'target-reset': 0,
    idle: 0,
    broken: 0,
    revoked: 0,
    room: 0,
    shutdown: 0,
  };
  /** From the authenticated request to the open connection, of those that came to one. */
  readonly dials = new Durations();
  /** Of sessions that have closed, and the counts of all. */
  readonly #totals: Record<Protocol, Map<string, UserTotals>> = { tcp: new Map(), udp: new Map() };
  readonly #users = new Set<string>();
  readonly #open = new Set<Session>();
  readonly #mostUsers: number;

  constructor(mostUsers = MOST_USERS) {
    this.#mostUsers = mostUsers;
  }

  opened(session: Session): void {
    const totals = this.#totalsOf(session);
    totals.opened++;
    totals.open++;
    this.#open.add(session);
    if (session.request.protocol === 'tcp') this.dials.took(session.age);
  }

  refused(_: Session, { reason }: Refusal): void {
    this.refusals[reason]++;
  }

  closed(session: Session, end: SessionEnd): void {
    const totals = this.#totalsOf(session);
    totals.open--;
    addTraffic(totals, session);
    this.#open.delete(session);
    this.ends[end]++;
  }

  /** How many sessions of a protocol each user has and had; the bytes are those of closed ones. */
  of(protocol: Protocol): UserTotals[] {
    return [...this.#totals[protocol].values()];
  }

  /** By user and protocol, with what has gone through open sessions so far. */
  totals(): UserTotals[] {
    const now = new Map([...this.of('tcp'), ...this.of('udp')].map(closed => [closed, { ...closed }]));
    for (const session of this.#open) addTraffic(now.get(this.#totalsOf(session))!, session);
    return [...now.values()];
  }

  #totalsOf({ request: { user, protocol } }: Session): UserTotals {
    const label = this.#labelOf(user);
    const byUser = this.#totals[protocol];
    const known = byUser.get(label);
    if (known !== undefined) return known;
    const totals = { user: label, protocol, opened: 0, open: 0, bytesUp: 0, bytesDown: 0 };
    byUser.set(label, totals);
    return totals;
  }

  #labelOf(user: string): string {
    if (this.#users.has(user)) return user;
    if (this.#users.size >= this.#mostUsers) return OTHER_USERS;
    this.#users.add(user);
    return user;
  }
}

function addTraffic(totals: UserTotals, { traffic }: Session): void {
  totals.bytesUp += traffic.bytesUp;
  totals.bytesDown += traffic.bytesDown;
}
