import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { posixQuoted, powerShellQuoted } from '../shell-quoting.ts';
import type { Variable } from './proxy-variables.ts';

/** How a shell, or who else reads such text, has it. */
interface Dialect {
  readonly set: (name: string, value: string) => string;
  readonly unset: (name: string) => string;
  readonly comment: (text: string) => string;
  /** How to have it read, for the help. */
  readonly usage: string;
}

const hash = (text: string) => `# ${text}`;

/** Inside of single quotes POSIX shells read everything as it is, but the quote. */
const posix = {
  set: (name: string, value: string) => `export ${name}=${posixQuoted(value)}`,
  unset: (name: string) => `unset ${name}`,
  comment: hash,
  usage: 'eval "$(ss-local env)"',
};

const DIALECTS = {
  bash: posix,
  zsh: posix,
  fish: {
    set: (name, value) => `set -gx ${name} '${value.replace(/['\\]/g, '\\$&')}'`,
    unset: name => `set -e ${name}`,
    comment: hash,
    usage: 'ss-local env --shell fish | source',
  },
  powershell: {
    set: (name, value) => `$env:${name} = ${powerShellQuoted(value)}`,
    unset: name => `Remove-Item Env:${name} -ErrorAction SilentlyContinue`,
    comment: hash,
    usage: 'ss-local env --shell powershell | Out-String | Invoke-Expression',
  },
  cmd: {
    // With the quotes around all of it, nothing in the value means anything to `set`.
    set: (name, value) => `set "${name}=${onOneLine(name, value)}"`,
    unset: name => `set "${name}="`,
    comment: text => `REM ${text}`,
    usage: 'for /f "delims=" %i in (\'ss-local env --shell cmd\') do @%i',
  },
  dotenv: {
    set: (name, value) => `${name}=${dotenvValue(name, value)}`,
    unset: name => `${name}=`,
    comment: hash,
    usage: 'ss-local env --shell dotenv > .env',
  },
} as const satisfies Record<string, Dialect>;

export type Shell = keyof typeof DIALECTS;

export const SHELLS = Object.keys(DIALECTS) as readonly Shell[];

/** How to have a shell evaluate what is printed for it. */
export function usageOf(shell: Shell): string {
  return DIALECTS[shell].usage;
}

/** Whom to print for where nobody says: the shell that the user has chosen to log in with. */
export function shellOf(env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform): Shell {
  const name = env.SHELL?.split(/[\\/]/)
    .at(-1)
    ?.replace(/\.exe$/i, '');
  const known = SHELLS.find(shell => shell === name);
  if (known !== undefined) return known;
  if (platform !== 'win32' || name !== undefined) return 'bash'; // sh, dash and ksh read the same
  return env.PROMPT === undefined ? 'powershell' : 'cmd'; // cmd sets it itself
}

/**
 * Text that sets the variables when the shell evaluates it.
 *
 * @throws PodsocksError ERR_USAGE for a value that cannot be written that way.
 */
export function script(shell: Shell, variables: readonly Variable[], comments: readonly string[]): string {
  const { set, unset, comment }: Dialect = DIALECTS[shell];
  const lines = [
    ...comments.map(text => comment(text)),
    ...distinct(shell, variables).map(({ name, value }) => (value === undefined ? unset(name) : set(name, value))),
  ];
  return lines.map(line => `${line}\n`).join('');
}

/** Windows has one variable for both spellings of a name. */
function distinct(shell: Shell, variables: readonly Variable[]): readonly Variable[] {
  if (shell !== 'cmd') return variables;
  const names = variables.map(({ name }) => name.toUpperCase());
  return variables.filter(({ name }, index) => names.indexOf(name.toUpperCase()) === index);
}

function onOneLine(name: string, value: string): string {
  if (!/[\r\n]/.test(value)) return value;
  throw new PodsocksError('ERR_USAGE', `env: ${name} has several lines, which cmd cannot set; use --shell powershell`);
}

/**
 * Single quotes are taken as they are by all who read such files, but for Docker, which knows no quotes at all; double
 * quotes are for what has a single one in it.
 */
function dotenvValue(name: string, value: string): string {
  if (/^[\w.,:;/@%+=[\]-]+$/.test(value)) return value;
  if (!/['\\\r\n]/.test(value)) return `'${value}'`;
  if (!/["\\$`\r\n]/.test(value)) return `"${value}"`;
  throw new PodsocksError('ERR_USAGE', `env: ${name} has characters that .env files have no common way to write`);
}
