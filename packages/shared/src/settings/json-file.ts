import { readFileSync } from 'node:fs';
import { printParseErrorCode, visit } from 'jsonc-parser';
import { PodsocksError } from '../runtime/errors.ts';

/**
 * Reads a file that holds one JSON object; of names that are given twice, the last one counts.
 *
 * @throws PodsocksError ERR_CONFIG with the line and column of a syntax error, and nothing of the content.
 */
export function readJsonFile(path: string): object {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `cannot read the configuration file ${path} (${reason}); check the path`);
  }
  return parseJsonObject(text, path);
}

/**
 * The one JSON object that a file holds, of which `given` is the text.
 *
 * @throws PodsocksError ERR_CONFIG, as {@link readJsonFile}.
 */
export function parseJsonObject(given: string, path: string): object {
  // Editors on Windows begin UTF-8 with a byte order mark, which JSON.parse does not take.
  const text = given.replace(/^\uFEFF/, '');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // V8's own message quotes the text around the fault, passwords included, and often has no position.
    throw new PodsocksError('ERR_CONFIG', `${path}: ${syntaxComplaint(text)}`);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  throw new PodsocksError('ERR_CONFIG', `${path}: has to hold one JSON object; put { … } around it`);
}

function syntaxComplaint(text: string): string {
  try {
    const at = faultOffset(text);
    const lines = text.slice(0, at).split('\n');
    const place = `line ${lines.length}, column ${lines.at(-1)!.length + 1}`;
    return `${place}: not JSON; expected ${expectedAt(text, at)}${hint(text[at])}`;
  } catch (error) {
    // jsonc-parser recurses where JSON.parse does not.
    if (error instanceof RangeError) return 'not JSON; its brackets are nested too deeply to say where';
    throw error;
  }
}

/** The first thing that jsonc-parser minds. */
function firstFault(text: string): { readonly offset: number; readonly code: string } | undefined {
  const faults: { offset: number; code: string }[] = [];
  const onError = (code: number, offset: number) => void faults.push({ offset, code: printParseErrorCode(code) });
  visit(text, { onError }, { disallowComments: true, allowTrailingComma: false });
  return faults[0];
}

const WORD = /[\w.+-]/;

/** Where a text stops being JSON. */
function faultOffset(text: string): number {
  let at = firstFault(text)?.offset ?? text.length;
  // jsonc-parser takes 08 for two numbers and complains of the second; the fault is the whole.
  while (at > 0 && WORD.test(text.charAt(at)) && WORD.test(text.charAt(at - 1))) at--;
  return at;
}

/** What jsonc-parser misses when the text ends before the fault. */
function expectedAt(text: string, at: number): string {
  const before = text.slice(0, at).trimEnd();
  if (before.endsWith('{')) return 'a name in double quotes or "}"';
  if (before.endsWith('[')) return 'a value or "]"';
  switch (firstFault(before)?.code) {
    case 'ValueExpected':
      return 'a value';
    case 'PropertyNameExpected':
      return 'a name in double quotes';
    case 'ColonExpected':
      return '":"';
    case 'CloseBraceExpected':
    case 'CloseBracketExpected':
      return '"," or the closing bracket';
    default:
      return 'nothing more';
  }
}

function hint(found: string | undefined): string {
  if (found === undefined) return ', but the file ends';
  if (found === '/' || found === '#') return '; JSON has no comments, remove them';
  if (found === "'") return '; use double quotes';
  if (found === '}' || found === ']') return '; remove the comma before it, or close the other bracket first';
  if (found === '"') return '; a comma may be missing, or the text that begins here has no end or a bad escape';
  return '';
}
