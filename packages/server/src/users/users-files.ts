import { type Stats, statSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { readFields } from '@podsocks/shared/settings/config-file';
import { secret } from '@podsocks/shared/settings/fields';
import { parseJsonObject } from '@podsocks/shared/settings/json-file';
import { located, type Sourced, type Warn } from '@podsocks/shared/settings/settings';
import { parseMember } from '../policy/fields.ts';
import { readBoundedFile, unreadable } from './bounded-file.ts';
import { credentialFields, userList } from './fields.ts';
import { entriesOf } from './users-directory.ts';

/*
 * Where users are, in one of two forms:
 *
 *   a file         { "users": [ { "name": "ada", "password": "KEY", "groups": ["ops"], … } ] }
 *   a directory    ada     one line, KEY
 *                  ben     { "password": "KEY", "groups": ["ops"], … }
 *                  .…      passed over: a mounted Secret has its data in such, and links to it
 *                  …~ #…#  passed over: what editors leave
 */

/** A user as listed: what is checked of each alone has been. */
export interface ListedUser {
  readonly name: string;
  readonly password: Sourced<string>;
  /** Where the name is. */
  readonly from: string;
  readonly groups?: readonly string[];
  readonly expires?: number;
  readonly maxConnections?: number;
  readonly bandwidth?: number;
}

/** A Secret has at most 1 MiB; in 4 there is room for 30,000 users. */
const MOST_FILE_BYTES = 4 * 1024 * 1024;

const NO_FOREIGN = { noEffect: {}, refused: {} };

/**
 * Reads all users, or none.
 *
 * @throws PodsocksError ERR_CONFIG with file and field, and never a key.
 */
export function readUsers(path: string, warn: Warn): readonly ListedUser[] {
  return statsOf(path).isDirectory() ? readDirectory(path, warn) : readFile(path, warn);
}

/** @throws PodsocksError ERR_CONFIG. */
export function statsOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The object in a file of users, which may be edited, and its users. */
export function readUsersFile(
  path: string,
  warn: Warn,
): { readonly json: object; readonly users: readonly ListedUser[] } {
  const { text, isOpen } = readBoundedFile(path, MOST_FILE_BYTES);
  if (isOpen) warnOpen(path, warn);
  const json = parseJsonObject(text, path);
  return { json, users: usersIn(json, path, warn) };
}

/** The users of such an object. */
export function usersIn(json: object, path: string, warn: Warn): readonly ListedUser[] {
  const { users } = readFields(json, path, { users: userList }, NO_FOREIGN, warn);
  if (users === undefined) throw wrong(`${path}: users: is missing; it has to be a list of objects [ { … } ]`);
  return listedUsers(users);
}

/** Those of a list in a file. */
export function listedUsers({
  value,
  from,
}: Sourced<readonly ({ readonly name: string } & Credentials)[]>): ListedUser[] {
  return value.map((user, i) => ({
    name: user.name,
    from: `${from}[${i}].name`,
    ...termsOf(user),
    password: { value: user.password, from: `${from}[${i}].password` },
  }));
}

function readFile(path: string, warn: Warn): readonly ListedUser[] {
  return readUsersFile(path, warn).users;
}

function readDirectory(path: string, warn: Warn): readonly ListedUser[] {
  const open: string[] = [];
  const users = entriesOf(path).map(({ name, from, text, isOpen }) => {
    if (isOpen) open.push(from);
    return { name: located(from, () => parseMember(name)), from, ...credentialsIn(text, from, warn) };
  });
  if (open.length > 0) warnOpen(open.length === 1 ? open[0]! : `${open[0]} and ${open.length - 1} more`, warn);
  return users;
}

function credentialsIn(text: string, from: string, warn: Warn): Omit<ListedUser, 'name' | 'from'> {
  if (text.trimStart().startsWith('{')) {
    const given = readFields(parseJsonObject(text, from), from, credentialFields, NO_FOREIGN, warn);
    if (given.password === undefined) throw wrong(`${from}: password: is missing; put the key in quotes`);
    return {
      password: given.password,
      ...(given.groups?.value && { groups: given.groups.value }),
      ...(given.expires?.value !== undefined && { expires: given.expires.value }),
      ...(given.maxConnections?.value !== undefined && { maxConnections: given.maxConnections.value }),
      ...(given.bandwidth?.value !== undefined && { bandwidth: given.bandwidth.value }),
    };
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw wrong(`${from}: is empty; put the user's key into it`);
  if (/[\r\n]/.test(value)) throw wrong(`${from}: has several lines; it has to hold the user's key, or a JSON object`);
  return { password: { value: secret.parse(value), from } };
}

interface Credentials {
  readonly password: string;
  readonly groups?: readonly string[] | undefined;
  readonly expires?: number | undefined;
  readonly max_connections?: number | undefined;
  readonly bandwidth?: number | undefined;
}

function termsOf({ groups, expires, max_connections: maxConnections, bandwidth }: Credentials) {
  return {
    ...(groups && { groups }),
    ...(expires !== undefined && { expires }),
    ...(maxConnections !== undefined && { maxConnections }),
    ...(bandwidth !== undefined && { bandwidth }),
  };
}

function warnOpen(files: string, warn: Warn): void {
  warn(`others can read ${files}: keys of users; run: chmod 600 (of a Secret volume: defaultMode: 0400)`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
