import type { Registry } from 'prom-client';
import { counter, gauge } from './families.ts';

/** What a server tells of its users, of which some may come and go. */
export interface UserFacts {
  /** Without the one whose key is the server's. */
  readonly userCount: number;
  /** How often the users were changed to what cannot be used. */
  readonly reloadFailures: number;
  /** Whether what they were last changed to cannot be used, so that the former ones stay. */
  readonly usersStale: boolean;
}

export interface Life {
  readonly isDraining: () => boolean;
  readonly userCount: () => number;
  readonly reloadFailures: () => number;
  readonly usersStale: () => boolean;
}

/** What there is once however many workers there are: for the registry of the process that has the admin listener. */
export function registerLife(registry: Registry, life: Life): void {
  const { isDraining, userCount, reloadFailures, usersStale } = life;
  gauge(registry, { name: 'podsocks_draining', help: '1 while it lets connections finish, before it ends.' }, () => [
    { value: isDraining() ? 1 : 0 },
  ]);
  gauge(registry, { name: 'podsocks_users', help: 'Users who have a key.' }, () => [{ value: userCount() }]);
  counter(
    registry,
    {
      name: 'podsocks_user_reload_failures_total',
      help: 'How often the users were changed to what cannot be used, so that the former ones stayed.',
    },
    () => [{ value: reloadFailures() }],
  );
  gauge(
    registry,
    {
      name: 'podsocks_users_stale',
      help: '1 while the users cannot be used as they are now, so that the former ones are still let in.',
    },
    () => [{ value: usersStale() ? 1 : 0 }],
  );
}
