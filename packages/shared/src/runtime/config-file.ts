import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { BACKEND_CHOICES } from '../crypto/backends.ts';
import { methodNamed } from '../crypto/methods.ts';
import { PodsocksError } from './errors.ts';
import { LOG_FORMATS, LOG_LEVELS } from './log.ts';
import {
  oneOf,
  parseCount,
  parseHost,
  parseListenPort,
  parseSeconds,
  parseWait,
  type Sourced,
  type Warn,
} from './options.ts';

/** The fields of a JSON object by name. */
export type Fields = Readonly<Record<string, z.ZodType>>;

/** What a file says, each field under its name in camel case and with its place (`config.json: server_port`). */
export type FileLayer<F extends Fields> = {
  readonly [K in keyof F & string as CamelCase<K>]?: Sourced<z.output<F[K]>>;
};

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** A message that also says when the field is not there at all. */
const must = (what: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? `is missing; it ${what}` : what),
});

/** Lets `parse` complain in the place of the field. */
function through<T>(parse: (text: string) => T): (text: string | number, context: z.RefinementCtx) => T {
  return (text, context) => {
    try {
      return parse(String(text));
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  };
}

/** A field with text, read as the flag of the same name is. */
export const text = <T>(parse: (text: string) => T) =>
  z.string(must('has to be text in double quotes')).transform(through(parse));

/** A field with a number; old shadowsocks-libev files have numbers in quotes. */
export const number = (parse: (text: string) => number) =>
  z.union([z.number(), z.string()], must('has to be a number')).transform(through(parse));

/** A field with one text or a list of them. */
export const texts = <T>(parse: (text: string) => T) =>
  z
    .union([z.string(), z.array(z.string())], must('has to be text in double quotes, or a list of such'))
    .transform((given, context) =>
      (typeof given === 'string' ? [given] : given).map(item => through(parse)(item, context)),
    );

export const yesOrNo = z.boolean(must('has to be true or false'));

export const secret = z.string(must('has to be text in double quotes')).min(1, 'is empty; put the password in quotes');

/** A field with a list of objects. */
export const records = <F extends Fields>(fields: F) =>
  z.array(z.object(fields, must('has to be an object { … }')), must('has to be a list of objects [ { … } ]'));

/** The fields that mean the same in both programs. */
export const commonFields = {
  server: texts(parseHost),
  server_port: number(parseListenPort),
  password: secret,
  method: text(methodNamed),
  mode: text(parseMode),
  timeout: number(parseSeconds),
  connect_timeout: number(parseSeconds),
  handshake_timeout: number(parseSeconds),
  drain_timeout: number(parseWait),
  max_connections: number(parseCount),
  nofile: number(parseCount),
  ipv6_first: yesOrNo,
  no_delay: yesOrNo,
  reuse_port: yesOrNo,
  fast_open: yesOrNo,
  mptcp: yesOrNo,
  crypto_backend: text(oneOf(BACKEND_CHOICES)),
  log_level: text(oneOf(LOG_LEVELS)),
  log_format: text(oneOf(LOG_FORMATS)),
} satisfies Fields;

function parseMode(mode: string): string {
  if (mode === 'tcp_only') return mode;
  throw new PodsocksError('ERR_CONFIG', 'UDP is not available yet; set it to "tcp_only" or remove it');
}

type Reasons = Readonly<Record<string, string>>;

const forAll = (names: string, reason: string): Reasons =>
  Object.fromEntries(names.split(' ').map(name => [name, reason]));

/** Fields of shadowsocks-libev, -rust and SIP008 that change nothing here: one warning each. */
const NO_EFFECT: Reasons = {
  ...forAll('bytes_remaining bytes_used id version', 'it is a note of the provider'),
  ...forAll('balancer tcp_weight', 'servers are chosen without it'),
  ...forAll('manager_address manager_port workdir', 'there is no manager'),
  ...forAll('mtu udp_weight', 'it is about UDP'),
  ...forAll('runtime workers', 'there is one thread'),
  ...forAll(
    'tcp_incoming_rcvbuf tcp_incoming_sndbuf tcp_outgoing_rcvbuf tcp_outgoing_sndbuf',
    'the system sizes buffers',
  ),
  ...forAll(
    'dscp forward_address forward_port tcp_tproxy tunnel_address tunnel_port',
    'it belongs to ss-redir or ss-tunnel',
  ),
  keep_alive: 'idle connections end after "timeout"',
  log: 'use "log_level" and "log_format"',
  security: 'replays are always refused',
  use_syslog: 'the log goes to stderr',
};

/** Fields without which a program would do something else than its file says: refused, with the mend. */
const REFUSED: Reasons = {
  ...forAll('plugin plugin_args plugin_mode plugin_opts', 'plugins are not available yet; remove it at both ends'),
  ...forAll('udp_max_associations udp_mtu udp_timeout', 'UDP is not available yet; remove it'),
  ...forAll('dns dns_cache_size nameserver', "own name servers are not available yet; remove it to use the system's"),
  ...forAll(
    'outbound_bind_interface outbound_fwmark outbound_proxy outbound_user_cookie',
    'it is not available; remove it',
  ),
  acl: 'access control lists are not available yet; remove it, and limit the ss-server pod with a NetworkPolicy',
  auth: 'one-time authentication is obsolete; remove it, every method here authenticates',
  ipv6_only: 'it is not available; remove it, and list the addresses to listen on',
  key: 'raw keys are not taken; use a 2022 method, whose "password" is a base64 key',
  locals: 'there is one listener; use "local_address" and "local_port"',
  online_config: 'servers are not fetched; put them into "servers"',
  outbound_bind_addr: 'it has another name here; use "local_address" of ss-server',
  port_password: 'there is one port; give "users", or run one process for each port',
  user: 'the user is not changed; remove it and start the program as that user (in a pod: runAsUser)',
};

/** What a program knows of fields that are not its own. */
export interface ForeignFields {
  readonly noEffect: Reasons;
  readonly refused: Reasons;
}

/**
 * Reads a JSON configuration file.
 *
 * @throws PodsocksError ERR_CONFIG with `file: field: what is wrong; how to mend it`, or the line and column of a
 *   syntax error. It never holds a value of a secret field.
 */
export function readConfigFile<F extends Fields>(
  path: string,
  fields: F,
  foreign: ForeignFields,
  warn: Warn,
): FileLayer<F> {
  const json = parseJson(path);
  const known: ForeignFields = {
    noEffect: { ...NO_EFFECT, ...foreign.noEffect },
    refused: { ...REFUSED, ...foreign.refused },
  };
  const warned = new Set<string>();
  const ignore = (field: string, reason: string) => {
    if (!warned.has(field)) warn(`${path}: ${field}: has no effect here, ${reason}; remove it`);
    warned.add(field);
  };
  const own = ownFields(json, fields, known, `${path}: `, ignore);
  const result = z.object(fields).partial().safeParse(own);
  if (!result.success) {
    const [first, ...others] = result.error.issues;
    const field = first!.path.map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    throw new PodsocksError('ERR_CONFIG', `${path}: ${field.slice(1)}: ${first!.message}${more}`);
  }
  const layer = Object.entries(result.data).map(([name, value]) => {
    const camelCase = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    return [camelCase, { value, from: `${path}: ${name}` }];
  });
  return Object.fromEntries(layer) as FileLayer<F>;
}

/** The fields that the program has, down into lists of objects; what it does not have is ignored, refused or unknown. */
function ownFields(
  json: unknown,
  fields: Fields,
  { noEffect, refused }: ForeignFields,
  place: string,
  ignore: (field: string, reason: string) => void,
): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(json)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const at = place + name;
    if (field instanceof z.ZodArray && field.element instanceof z.ZodObject && Array.isArray(value)) {
      const { shape } = field.element;
      own[name] = value.map((item, i) => ownFields(item, shape, { noEffect, refused }, `${at}[${i}].`, ignore));
    } else if (field) {
      own[name] = value;
    } else if (Object.hasOwn(refused, name)) {
      // What is switched off asks for nothing: SIP008 files have "plugin": "" everywhere.
      if (!isOff(value)) throw new PodsocksError('ERR_CONFIG', `${at}: ${refused[name]}`);
    } else if (Object.hasOwn(noEffect, name)) {
      if (!isOff(value)) ignore(name, noEffect[name]!);
    } else {
      const near = nearest(name, Object.keys(fields));
      const mend = near ? `did you mean "${near}"?` : `known are ${Object.keys(fields).join(', ')}`;
      throw new PodsocksError('ERR_CONFIG', `${at}: unknown field; ${mend}`);
    }
  }
  return own;
}

const isOff = (value: unknown): boolean => value === false || value === null || value === '';

/** The candidate with the fewest edits, if those are few for its length. */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates.map(candidate => ({ candidate, edits: editDistance(name.toLowerCase(), candidate) }));
  const [best] = ranked.sort((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.max(2, best.candidate.length * 0.4) ? best.candidate : undefined;
}

/** Levenshtein, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function parseJson(path: string): object {
  let text: string;
  try {
    // Editors on Windows begin UTF-8 with a byte order mark, which JSON.parse does not take.
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `cannot read the configuration file ${path} (${reason}); check the path`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // V8's own message quotes the text around the fault, passwords included, and often has no position.
    const { at, expected } = syntaxFault(text);
    const before = text.slice(0, at).split('\n');
    const place = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
    throw new PodsocksError('ERR_CONFIG', `${path}: ${place}: not JSON; expected ${expected}${hint(text[at])}`);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  throw new PodsocksError('ERR_CONFIG', `${path}: has to hold one JSON object; put { … } around it`);
}

function hint(found: string | undefined): string {
  if (found === undefined) return ', but the file ends';
  if (found === '/' || found === '#') return '; JSON has no comments, remove them';
  if (found === "'") return '; use double quotes';
  if (found === '}' || found === ']') return '; remove the comma before it, or close the other bracket first';
  if (found === '"') return '; a comma may be missing, or the text that begins here has no end or a bad escape';
  return '';
}

const EXPECTED = {
  value: 'a value',
  item: 'a value or "]"',
  name: 'a name in double quotes',
  member: 'a name in double quotes or "}"',
  colon: '":"',
  more: '"," or the closing bracket',
  end: 'nothing more',
};

/** A bracket, comma or colon, or (as a group) a scalar; text is everything from the space up, but for " and \. */
const TOKEN =
  /[{}[\],:]|("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;

/** Where a text stops being JSON. */
function syntaxFault(text: string): { at: number; expected: string } {
  const closers: string[] = [];
  let expected: keyof typeof EXPECTED | undefined = 'value';
  for (let at = 0; ; ) {
    while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++;
    TOKEN.lastIndex = at;
    const [token = '', scalar] = TOKEN.exec(text) ?? [];
    const next = afterToken(expected, token, scalar !== undefined, closers);
    if (!next) return { at, expected: EXPECTED[expected] };
    expected = next;
    at += token.length;
  }
}

/** The grammar of RFC 8259: what may follow `token` where `expected` was. */
function afterToken(
  expected: keyof typeof EXPECTED,
  token: string,
  scalar: boolean,
  closers: string[],
): keyof typeof EXPECTED | undefined {
  const ended = () => (closers.length > 0 ? 'more' : 'end');
  const closes = token !== '' && token === closers.at(-1);
  if (closes && (expected === 'item' || expected === 'member' || expected === 'more')) {
    closers.pop();
    return ended();
  }
  if (expected === 'value' || expected === 'item') {
    if (scalar) return ended();
    if (token !== '{' && token !== '[') return undefined;
    closers.push(token === '{' ? '}' : ']');
    return token === '{' ? 'member' : 'item';
  }
  if (expected === 'name' || expected === 'member') return token.startsWith('"') ? 'colon' : undefined;
  if (expected === 'colon') return token === ':' ? 'value' : undefined;
  if (expected === 'more' && token === ',') return closers.at(-1) === '}' ? 'name' : 'value';
  return undefined;
}
