/** What is asked of the file system; throws as node:fs does. */
export interface Files {
  readonly stat: (path: string) => { readonly mode: number; readonly isFile: boolean };
  readonly isExecutable: (path: string) => boolean;
  /** At most `length` bytes from `position`. */
  readonly read: (path: string, position: number, length: number) => Buffer;
  /** The path behind all links. */
  readonly realPath: (path: string) => string;
}

/** Why a library that is loaded ahead of a program may not see what the program connects to. */
export type Obstacle = 'static' | 'go' | 'setuid' | 'protected';

const MOST_INTERPRETERS = 4;
const SETUID_SETGID = 0o6000;

/** The file that a command is, as execvp finds it. */
export function findCommand(
  command: string,
  path: string | undefined,
  files: Files,
): { readonly found: string } | { readonly missing: NodeJS.ErrnoException } {
  const candidates = command.includes('/')
    ? [command]
    : (path ?? '/usr/local/bin:/usr/bin:/bin').split(':').map(folder => `${folder || '.'}/${command}`);
  let code = 'ENOENT';
  for (const candidate of command === '' ? [] : candidates) {
    if (!isFile(candidate, files)) continue;
    if (files.isExecutable(candidate)) return { found: candidate };
    code = 'EACCES';
  }
  return { missing: Object.assign(new Error(code), { code }) };
}

/**
 * What stands in the way of preloading a library into a program, or into the interpreter of a script.
 *
 * @returns none also for what cannot be read: it will show.
 */
export function obstacleOf(
  program: string,
  path: string | undefined,
  platform: NodeJS.Platform,
  files: Files,
): { readonly file: string; readonly obstacle: Obstacle } | undefined {
  let file = program;
  try {
    for (let depth = 0; depth <= MOST_INTERPRETERS; depth++) {
      const obstacle = ofFile(file, platform, files);
      if (obstacle !== undefined) return { file, obstacle };
      const interpreter = interpreterOf(files.read(file, 0, 256));
      if (interpreter === undefined) return undefined;
      const found = findCommand(interpreter, path, files);
      if ('missing' in found) return undefined;
      file = found.found;
    }
  } catch {
    return undefined;
  }
  return undefined;
}

function ofFile(file: string, platform: NodeJS.Platform, files: Files): Obstacle | undefined {
  if (platform === 'darwin') return isProtected(files.realPath(file)) ? 'protected' : undefined;
  const header = files.read(file, 0, 64);
  // Scripts do not run with the right of their owner.
  if (header.subarray(0, 2).toString('latin1') !== '#!' && (files.stat(file).mode & SETUID_SETGID) !== 0)
    return 'setuid';
  return platform === 'linux' ? ofElf(file, header, files) : undefined;
}

/** System Integrity Protection takes DYLD_ variables away from what is there. */
function isProtected(path: string): boolean {
  return /^\/(?:bin|sbin|usr|System)\//.test(path) && !path.startsWith('/usr/local/');
}

const PT_INTERP = 3;
const PT_NOTE = 4;
const MOST_HEADERS = 64;
const MOST_NOTE_BYTES = 64 * 1024;
/** The note in which the Go tool chain leaves its build ID (.note.go.buildid). */
const GO_NOTE_TYPE = 4;

/**
 * An ELF file without an interpreter is static: nothing is loaded into it. A Go program makes its system calls itself,
 * also where it is dynamic. 64 bits, as the rest of what runs Node.js.
 */
function ofElf(file: string, header: Buffer, files: Files): Obstacle | undefined {
  const isElf = header.length >= 64 && header.readUInt32BE(0) === 0x7f454c46 && header[4] === 2;
  if (!isElf) return undefined;
  const little = header[5] === 1;
  const u16 = (bytes: Buffer, at: number) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const u32 = (bytes: Buffer, at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const u64 = (bytes: Buffer, at: number) => Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  const size = u16(header, 54);
  const count = Math.min(u16(header, 56), MOST_HEADERS);
  const table = files.read(file, u64(header, 32), size * count);
  let isDynamic = false;
  for (let at = 0; size >= 56 && at + size <= table.length; at += size) {
    const type = u32(table, at);
    if (type === PT_INTERP) isDynamic = true;
    if (type !== PT_NOTE) continue;
    const notes = files.read(file, u64(table, at + 8), Math.min(u64(table, at + 32), MOST_NOTE_BYTES));
    if (hasGoNote(notes, u32)) return 'go';
  }
  return isDynamic ? undefined : 'static';
}

/** Notes are: length of name, length of content, type, name, content; both padded to 4 bytes. */
function hasGoNote(notes: Buffer, u32: (bytes: Buffer, at: number) => number): boolean {
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameEnd = at + 12 + u32(notes, at);
    if (u32(notes, at + 8) === GO_NOTE_TYPE && notes.toString('latin1', at + 12, nameEnd) === 'Go\0\0') return true;
    at = padded(at + 12 + padded(u32(notes, at)) + u32(notes, at + 4));
  }
  return false;
}

const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** `#!/usr/bin/python3`, or what env looks for: `#!/usr/bin/env -S python3 -u`. */
function interpreterOf(head: Buffer): string | undefined {
  const [, line = ''] = /^#![ \t]*([^\n]*)/.exec(head.toString('latin1')) ?? [];
  const [interpreter, ...words] = line.trim().split(/[ \t]+/);
  if (interpreter === '' || interpreter === undefined) return undefined;
  if (!/(^|\/)env$/.test(interpreter)) return interpreter;
  return words.find(word => !word.startsWith('-') && !word.includes('='));
}

function isFile(path: string, files: Files): boolean {
  try {
    return files.stat(path).isFile;
  } catch {
    return false;
  }
}
