import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { commandText, type Plan, type Step } from './plan.ts';
import { type Command, type DnsSystem, refused } from './system.ts';

/** Daemons that are not root read them too, whatever the umask is. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

type Undo = () => Promise<void>;

/**
 * Takes the steps of a plan, in order. If one fails, those that were taken are undone, the last one first.
 *
 * @throws PodsocksError that says which step failed, and what could not be undone.
 */
export async function applyPlan(system: DnsSystem, { steps, settle }: Plan): Promise<void> {
  const undos: Undo[] = [];
  try {
    for (const step of steps) await take(system, step, undos);
  } catch (error) {
    const left: string[] = [];
    for (const undo of undos.reverse()) {
      await undo().catch(failure => void left.push((failure as Error).message));
    }
    for (const command of undos.length > 0 ? settle : []) await system.run(command);
    const rest = left.length === 0 ? 'everything is as it was before' : `what was not undone: ${left.join('; ')}`;
    throw refused(`${(error as Error).message}; ${rest}`);
  }
}

async function take(system: DnsSystem, step: Step, undos: Undo[]): Promise<void> {
  if (step.do === 'run') {
    // Ahead of it: one that fails may have done a part.
    const { undo } = step;
    if (undo) undos.push(() => succeed(system, undo));
    return succeed(system, step.command);
  }
  const path = system.root + step.path;
  switch (step.do) {
    case 'make folder':
      mkdirSync(path);
      undos.push(async () => rmdirSync(path));
      chmodSync(path, FOLDER_MODE);
      return;
    case 'remove folder':
      if (!removeEmpty(path)) return;
      undos.push(async () => mkdirSync(path, FOLDER_MODE));
      return;
    default: {
      const before = readBefore(path);
      undos.push(async () => (before === undefined ? rmSync(path, { force: true }) : replaceFile(path, before)));
      if (step.do === 'remove') rmSync(path);
      else replaceFile(path, { text: step.text, mode: FILE_MODE });
    }
  }
}

async function succeed(system: DnsSystem, command: Command): Promise<void> {
  const { code, stderr } = await system.run(command);
  if (code === 0) return;
  const said = stderr.trim().split('\n').slice(-3).join(' ').slice(-300);
  throw refused(`${commandText(command)}: ended with ${code}${said ? `: ${said}` : ''}`);
}

interface Content {
  readonly text: string | Buffer;
  readonly mode: number;
}

function readBefore(path: string): Content | undefined {
  try {
    return { text: readFileSync(path), mode: statSync(path).mode & 0o7777 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** At no moment is there half a file, under a name that daemons read. */
function replaceFile(path: string, { text, mode }: Content): void {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}~`);
  try {
    writeFileSync(beside, text, { flag: 'wx', mode });
    chmodSync(beside, mode);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    // Something of others has come into it since.
    if (/^(ENOTEMPTY|EEXIST|ENOENT)$/.test((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
