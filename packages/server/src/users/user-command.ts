import { randomBytes } from 'node:crypto';
import { serverKey } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import { pluginOf } from '@podsocks/shared/plugin/fields';
import type { PluginParameter } from '@podsocks/shared/plugin/plugin-options';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { printWarnings, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, located, type Settings, type Sourced, single, toggle } from '@podsocks/shared/settings/settings';
import type { Command } from 'commander';
import { DEFAULT_PORT, listenOf, readSettings, SERVER_SETTINGS } from '../config.ts';
import { parseMember } from '../policy/fields.ts';
import { missingHost, publicServer, URL_SETTINGS, userUrl } from '../server-url.ts';
import { keyedUsers } from './keyed-users.ts';
import { qrCode } from './qr-code.ts';
import { parseBandwidth, parseExpires } from './terms.ts';
import { urlCommandLine } from './url-command-line.ts';
import { hasExpired } from './user.ts';
import { userJson, userTable } from './user-table.ts';
import { editUsers, type UserRecord } from './users-edit.ts';
import { type ListedUser, listedUsers, readUsers } from './users-files.ts';

const QR_SETTINGS = {
  qr: toggle('--qr', 'print a QR code of the URL, also where the output is no terminal'),
  noQr: toggle('--no-qr', 'print no QR code'),
} satisfies Settings;

const TERMS_SETTINGS = {
  groups: single({ flags: '--groups <names>' }, 'groups for the policy, with commas between them', parseGroups),
  expires: single({ flags: '--expires <time>' }, 'until when: 2027-01-31, or 2027-01-31T18:00:00Z', parseExpires),
  // The program's own flag of this name; commander gives it to the program.
  maxConnections: { ...SERVER_SETTINGS.maxConnections, env: '', describe: 'connections and associations at a time' },
  bandwidth: single({ flags: '--bandwidth <rate>' }, 'payload a second, both ways: 10MB, or 100Mbit', parseBandwidth),
} satisfies Settings;

/** Flags of the program, which take effect on all these commands. */
const { users, config, method, passwordFile } = SERVER_SETTINGS;

const LIST_SETTINGS = { json: toggle('--json', 'print JSON') } satisfies Settings;

type Environment = Readonly<Record<string, string | undefined>>;

/** Adds `user add`, `remove`, `list` and `url`. The settings of the program say where the users are, and which method. */
export function addUserCommands(program: Command, env: Environment, surroundings: Surroundings): void {
  const { stdout, stderr } = surroundings;
  const user = program.command('user').description('add, remove and list users: see user add --help');
  user.helpCommand(false).action(() => {
    const [word] = user.args;
    const wrong = word === undefined || word.startsWith('-') ? '' : `there is no ${JSON.stringify(word)}; `;
    const mend = 'say what to do: ss-server user add|remove|list|url; see: ss-server user --help';
    throw new PodsocksError('ERR_USAGE', `user: ${wrong}${mend}`);
  });

  const context = () => contextOf(program, env);
  const warned = ({ warnings }: Context) => printWarnings(program.name(), { logLevel: 'info', warnings }, surroundings);

  const add = user.command('add').description('make a key for a user, add them to the file, print their ss:// URL');
  addSettings(add.argument('<name>'), { ...TERMS_SETTINGS, ...URL_SETTINGS, ...QR_SETTINGS });
  add.addHelpText('after', programFlags({ users, config, method, passwordFile }));
  add.action((name: string) => {
    const its = context();
    const terms = { ...flagLayer(TERMS_SETTINGS, add.opts()), maxConnections: its.maxConnections };
    const server = publicServer('user add', its, add.opts());
    const key = keyOf(its);
    if (terms.expires && hasExpired({ expires: terms.expires.value }, Date.now())) {
      throw new PodsocksError('ERR_USAGE', `${terms.expires.from}: is over already; give a time to come`);
    }
    const password = randomBytes(its.method.generation === 'sip022' ? its.method.keyBytes : 32).toString('base64');
    const record: UserRecord = {
      name: located('user add', () => parseMember(name)),
      password,
      ...(terms.groups && { groups: terms.groups.value }),
      // As it was written: a date says more than the moment that it ends at.
      ...(terms.expires && { expires: String(add.opts().expires) }),
      ...(terms.maxConnections && { max_connections: terms.maxConnections.value }),
      ...(terms.bandwidth && { bandwidth: String(add.opts().bandwidth) }),
    };
    const path = fileOf('user add', its);
    const edit = (records: readonly UserRecord[]) => {
      if (records.some(other => other.name === name)) {
        throw new PodsocksError('ERR_USAGE', `user add: there is a user ${JSON.stringify(name)} already in ${path}`);
      }
      return [...records, record];
    };
    editUsers(path, edit, listed => void keyedUsers(listed, { method: its.method, key }), its.warn);
    warned(its);
    stderr.write(`added ${JSON.stringify(name)} to ${path}\n`);
    if (server !== undefined && !needsMain(its)) {
      printUrl(userUrl(server, { name, password }, its.password?.value), add.opts());
      return;
    }
    if (server !== undefined) stderr.write(`${NO_MAIN_KEY}\n`);
    const port = add.opts().port ?? (its.port === DEFAULT_PORT || its.port === 0 ? undefined : `${its.port}`);
    const query = { name, path, method: its.method, hasKey: key !== undefined, host: add.opts().host, port };
    stderr.write(`their URL: ${urlCommandLine(query, program.opts(), env)}\n`);
  });

  const remove = user.command('remove').description('take a user out of the file');
  remove.argument('<name>').addHelpText('after', programFlags({ users, config }));
  remove.action((name: string) => {
    const its = context();
    const path = fileOf('user remove', its);
    const edit = (records: readonly UserRecord[]) => {
      const others = records.filter(record => record.name !== name);
      if (others.length === records.length) throw nobody('user remove', name, path);
      return others;
    };
    const before = readListed('user remove', { ...its, warn: () => {} }); // it is read again, and then warned of
    if (!before.some(listed => listed.name === name)) throw nobody('user remove', name, path);
    editUsers(path, edit, () => {}, its.warn);
    warned(its);
    stderr.write(`removed ${JSON.stringify(name)} from ${path}\n`);
  });

  const list = user.command('list').description('list users, without their keys');
  addSettings(list, LIST_SETTINGS);
  list.addHelpText('after', programFlags({ users, config }));
  list.action(() => {
    const its = context();
    const listed = readListed('user list', its);
    warned(its);
    stdout.write((list.opts().json ? userJson : userTable)(listed, Date.now()));
  });

  const url = user.command('url').description("print a user's ss:// URL, which holds their key");
  addSettings(url.argument('<name>'), { ...URL_SETTINGS, ...QR_SETTINGS });
  url.addHelpText('after', programFlags({ users, config, method, passwordFile }));
  url.action((name: string) => {
    const its = context();
    const server = publicServer('user url', its, url.opts());
    if (server === undefined) throw missingHost('user url');
    const found = readListed('user url', its).find(listed => listed.name === name);
    if (found === undefined) throw nobody('user url', name, its.source);
    if (needsMain(its)) throw new PodsocksError('ERR_USAGE', `user url: ${NO_MAIN_KEY}`);
    keyedUsers([found], { method: its.method, key: keyOf(its) });
    warned(its);
    printUrl(userUrl(server, { name, password: found.password.value }, its.password?.value), url.opts());
  });

  // What is none of its commands comes to its own action, with all that stands behind. They themselves would inherit this.
  user.allowExcessArguments().allowUnknownOption();

  function printUrl(text: string, parsed: Readonly<Record<string, unknown>>): void {
    stdout.write(`${text}\n`);
    if (parsed.noQr || !(parsed.qr || stdout.isTTY)) return;
    const code = qrCode(text, stdout.isTTY === true);
    if (code === undefined) stderr.write('the URL is too long for a QR code\n');
    else stdout.write(code);
  }
}

const NO_MAIN_KEY =
  "the URL holds the server's key, too, and that is not given: SS_PASSWORD, --password-file, or -c with the server's file";

/** What of the settings the commands need. */
interface Context {
  readonly method: Method;
  readonly password: Sourced<string> | undefined;
  readonly path: Sourced<string> | undefined;
  readonly inFile: ReturnType<typeof readSettings>['file']['users'];
  /** For messages. */
  readonly source: string;
  /** What the server listens on. */
  readonly port: number;
  /** What it runs. */
  readonly plugin?: PluginParameter;
  /** As a flag, and not as a setting of the server. */
  readonly maxConnections: Sourced<number> | undefined;
  readonly warnings: readonly string[];
  readonly warn: (message: string) => void;
}

function contextOf(program: Command, env: Environment): Context {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const settings = readSettings(program.opts(), env, warn);
  const { given, usersPath: path, file, flags, method } = settings;
  const plugin = pluginOf(given, {});
  if (method.generation === 'sip022' && !method.identityHeaders) {
    const mend = 'use 2022-blake3-aes-256-gcm or 2022-blake3-aes-128-gcm';
    throw new PodsocksError('ERR_CONFIG', `${given.method?.from}: ${method.name} cannot tell users apart; ${mend}`);
  }
  return {
    ...{ method, path, warnings, warn },
    password: given.password,
    inFile: file.users,
    source: path?.value ?? file.users?.from ?? '',
    port: listenOf(settings)[0]!.port,
    ...(plugin && { plugin }),
    maxConnections: flags.maxConnections,
  };
}

/** The file that is edited. */
function fileOf(command: string, { path }: Context): string {
  if (path !== undefined) return path.value;
  throw new PodsocksError('ERR_USAGE', `${command}: which file? give it with --users, SS_USERS or "users_path"`);
}

function readListed(command: string, its: Context): readonly ListedUser[] {
  const { path, inFile, warn } = its;
  if (path === undefined && inFile !== undefined) return listedUsers(inFile);
  return readUsers(fileOf(command, its), warn);
}

/** The server's own key, if it is given. */
function keyOf({ method, password }: Context): Uint8Array | undefined {
  return password && located(password.from, () => serverKey(method, password.value));
}

function needsMain({ method, password }: Context): boolean {
  return method.generation === 'sip022' && password === undefined;
}

/** A section of the help of a command. */
function programFlags(settings: Settings): string {
  const lines = Object.values(settings).map(
    ({ flags, describe, env }) => `  ${flags!.padEnd(24)} ${describe} (env: ${env})`,
  );
  return `\nFlags of ss-server that say which users, and which server:\n${lines.join('\n')}`;
}

function nobody(command: string, name: string, path: string): PodsocksError {
  return new PodsocksError('ERR_USAGE', `${command}: nobody is called ${JSON.stringify(name)} in ${path}`);
}

function parseGroups(text: string): readonly string[] {
  return text.split(',').map(group => parseMember(group.trim()));
}
