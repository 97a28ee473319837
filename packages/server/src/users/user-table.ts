import { formatBandwidth, formatExpires } from './terms.ts';
import { hasExpired } from './user.ts';
import type { ListedUser } from './users-files.ts';

const HEADINGS = ['NAME', 'GROUPS', 'EXPIRES', 'CONNECTIONS', 'BANDWIDTH'];

/**
 * What `ss-server user list` prints. There is no key in it.
 *
 * @param now milliseconds since 1970.
 */
export function userTable(users: readonly ListedUser[], now: number): string {
  const rows = users.map(user => [
    user.name,
    user.groups?.join(',') || '-',
    user.expires === undefined ? '-' : `${formatExpires(user.expires)}${hasExpired(user, now) ? ' (expired)' : ''}`,
    `${user.maxConnections ?? '-'}`,
    user.bandwidth === undefined ? '-' : formatBandwidth(user.bandwidth),
  ]);
  const table = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map(row => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  return table.map(row => `${line(row)}\n`).join('');
}

/** The same for programs, with the names that a file of users has. */
export function userJson(users: readonly ListedUser[], now: number): string {
  const records = users.map(user => ({
    name: user.name,
    groups: user.groups ?? [],
    expires: user.expires === undefined ? null : formatExpires(user.expires),
    expired: hasExpired(user, now),
    max_connections: user.maxConnections ?? null,
    bandwidth: user.bandwidth === undefined ? null : formatBandwidth(user.bandwidth),
  }));
  return `${JSON.stringify(records, null, 2)}\n`;
}
