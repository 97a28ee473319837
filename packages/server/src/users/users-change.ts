import type { ServerUser } from './user.ts';

/** How those who are there differ from those that there were, by name. */
export interface UsersChange {
  readonly added: readonly string[];
  /** Gone, or with another key. */
  readonly revoked: readonly string[];
  /** With the same key, on other terms. */
  readonly changed: readonly string[];
}

export function changeOf(before: Iterable<ServerUser>, after: Iterable<ServerUser>): UsersChange {
  const change = { added: [] as string[], revoked: [] as string[], changed: [] as string[] };
  const gone = new Map(Array.from(before, user => [user.name, user]));
  for (const user of after) {
    const { name } = user;
    const known = gone.get(name);
    gone.delete(name);
    if (known === undefined) change.added.push(name);
    else if (!hasSameKey(known, user)) change.revoked.push(name);
    else if (termsText(known) !== termsText(user)) change.changed.push(name);
  }
  change.revoked.push(...gone.keys());
  return change;
}

export function hasSameKey(one: Pick<ServerUser, 'key'>, other: Pick<ServerUser, 'key'>): boolean {
  return Buffer.compare(one.key, other.key) === 0;
}

function termsText({ groups = [], expires, maxConnections, bandwidth }: ServerUser): string {
  return JSON.stringify([groups, expires, maxConnections, bandwidth]);
}
