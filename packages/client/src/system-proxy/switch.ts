import { rmSync, statSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { commandLineText, withoutPassword } from './command-line-text.ts';
import {
  type Command,
  type Desktop,
  differing,
  groupsIn,
  inBoth,
  isEmpty,
  type ProxyAim,
  type Values,
} from './desktop.ts';
import { failure, type RunCommand } from './run-command.ts';
import type { State, StateFile } from './state-file.ts';

export interface SwitchOptions {
  readonly desktop: Desktop;
  readonly file: StateFile;
  readonly run: RunCommand;
  /** Takes text, line by line. */
  readonly print: (line: string) => void;
  readonly warn: (message: string) => void;
  /** Print the commands and run none of them. */
  readonly dryRun: boolean;
}

/**
 * Makes the system use the proxy, after it has remembered what was there. Where the proxy was ours already, what was there
 * before stays remembered.
 *
 * @param now ISO 8601.
 * @throws PodsocksError when it could not be done; then everything is as it was.
 */
export async function switchOn(aim: ProxyAim, now: string, options: SwitchOptions): Promise<void> {
  const { desktop, file, print, warn, dryRun } = options;
  const state = file.read();
  if (state !== undefined) belongsTo(state, options);
  const chosen = await desktop.read();
  const current = state === undefined ? chosen : { ...(await desktop.read(groupsIn(desktop, state.ours))), ...chosen };
  if (state !== undefined) requireThisVersion(state, current, options);
  const base = state === undefined ? current : withoutUs(current, state);
  const ours = desktop.values(aim, inBoth(base, chosen));
  if (isEmpty(ours)) throw failure(`${desktop.name}: there is nothing whose proxy could be set`);
  const isSame = state !== undefined && isEmpty(differing(ours, state.ours)) && isEmpty(differing(state.ours, ours));
  if (isSame && isEmpty(differing(ours, current))) {
    print(`is on already, since ${state.since}: nothing to do`);
    return;
  }
  const before = inBoth(base, ours);
  const damaged = Object.keys(before).find(key => before[key]?.includes('\ufffd'));
  if (damaged !== undefined) throw failure(`${damaged}: cannot be read without loss, so it could not be put back`);

  const rival = desktop.inUse(inBoth(base, chosen));
  if (rival !== undefined)
    warn(`a proxy was in use before (${rival}), and is not meanwhile: what it alone reaches is not reached`);
  const restoring = desktop.write(differing(base, current), current, false);
  const setting = desktop.write(differing(ours, base), base, false);
  announceCommands([...restoring, ...setting], options);
  if (dryRun) return;
  // In two steps, of which each can be undone: what another switch had set and this one does not is put back first.
  if (state !== undefined && restoring.length > 0) await restore(inBoth(base, state.ours), desktop, options);
  file.write({ desktop: desktop.name, kind: aim.kind, since: now, before, ours });
  try {
    for (const command of setting) await runWriting(command, options);
    await verify(ours, desktop);
  } catch (error) {
    await rollBack(before, error as Error, options);
  }
  await tell(options);
}

/**
 * Puts back what was there before, and forgets it.
 *
 * @param force also over what somebody has set since.
 * @returns false if something was left as somebody has set it since.
 */
export async function switchOff(force: boolean, options: SwitchOptions): Promise<boolean> {
  const { desktop, file, print, dryRun } = options;
  const state = file.read();
  if (state === undefined) {
    print('is not on: nothing to do');
    return true;
  }
  belongsTo(state, options);
  const groups = groupsIn(desktop, state.before);
  const current = await desktop.read(groups);
  requireThisVersion(state, current, options);
  const there = inBoth(state.before, current);
  for (const group of groups) if (!groupsIn(desktop, there).includes(group)) print(`${group} is not there any more`);

  const groupOf = (key: string) => desktop.groupOf?.(key) ?? '';
  const theirs = force ? {} : changedSince(current, state);
  const left = new Set(groupsIn(desktop, theirs));
  const keys = Object.keys(there).filter(key => !left.has(groupOf(key)));
  const wanted = Object.fromEntries(keys.map(key => [key, there[key]!]));
  for (const [key, value] of Object.entries(theirs)) {
    print(`${key} was changed since, to ${shown(value)}; ${groupOf(key) || 'the proxy'} stays as it is`);
  }

  const commands = desktop.write(differing(wanted, current), current, false);
  if (commands.length > 0) announceCommands(commands, options);
  if (dryRun) return left.size === 0;
  await restore(wanted, desktop, options);
  if (left.size === 0) file.remove();
  else file.write({ ...state, before: without(state.before, wanted), ours: without(state.ours, wanted) });
  if (commands.length > 0) await tell(options);
  sweep(desktop);
  return left.size === 0;
}

/** What there would be if we had changed nothing: somebody else's changes since stay. */
function withoutUs(current: Values, { before, ours }: State): Values {
  return Object.fromEntries(
    Object.entries(current).map(([key, value]) => [
      key,
      Object.hasOwn(ours, key) && ours[key] === value ? before[key]! : value,
    ]),
  );
}

/** What is neither as we have set it nor as it was before. */
export function changedSince(current: Values, { before, ours }: State): Values {
  return Object.fromEntries(
    Object.entries(current).filter(
      ([key, value]) => Object.hasOwn(ours, key) && value !== ours[key] && value !== before[key],
    ),
  );
}

function without(values: Values, others: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !Object.hasOwn(others, key)));
}

function belongsTo(state: State, { desktop, file }: SwitchOptions): void {
  if (state.desktop === desktop.name) return;
  const mend = `first: ss-local system-proxy off --desktop ${state.desktop}`;
  throw new PodsocksError(
    'ERR_USAGE',
    `the proxy is on for ${state.desktop} (${file.path}), not ${desktop.name}; ${mend}`,
  );
}

/** Groups of settings come and go; a setting without one that is not there is one that another version has changed. */
function requireThisVersion(state: State, current: Values, { desktop, file }: SwitchOptions): void {
  const unknown = desktop.groupOf ? undefined : Object.keys(state.before).find(key => !Object.hasOwn(current, key));
  if (unknown === undefined) return;
  const mend = 'put back what was there by that version, or by hand, and remove the file';
  throw new PodsocksError('ERR_CONFIG', `${file.path}: is of another version of ss-local (${unknown}); ${mend}`);
}

/** Of what is put back, each part on its own: one that fails does not keep the others. Whether all is there is looked at. */
async function restore(wanted: Values, desktop: Desktop, options: SwitchOptions): Promise<void> {
  let why: unknown;
  for (const again of [false, true]) {
    const current = await desktop.read(groupsIn(desktop, wanted));
    const changes = differing(inBoth(wanted, current), current);
    if (isEmpty(changes)) return;
    for (const command of desktop.write(changes, current, again)) {
      await runWriting(command, options).catch(error => {
        why = error;
      });
    }
  }
  try {
    await verify(inBoth(wanted, await desktop.read(groupsIn(desktop, wanted))), desktop);
  } catch (error) {
    throw why ?? error;
  }
}

async function verify(wanted: Values, desktop: Desktop): Promise<void> {
  const [first] = Object.entries(differing(wanted, await desktop.read(groupsIn(desktop, wanted))));
  if (first === undefined) return;
  const [key, value] = first;
  throw failure(`${key} could not be set to ${shown(value)}: the commands ran, but had no effect`);
}

/** @throws always: what had failed, and what became of the rest. */
async function rollBack(before: Values, cause: Error, options: SwitchOptions): Promise<never> {
  const { desktop, file } = options;
  try {
    await restore(before, desktop, options);
    file.remove();
    sweep(desktop);
  } catch (error) {
    const mend = 'try: ss-local system-proxy off';
    throw failure(
      `${cause.message}; and putting back what was there failed, too: ${(error as Error).message}; ${mend}`,
    );
  }
  await tell(options);
  throw failure(`${cause.message}; everything is as it was before ss-local`);
}

async function runWriting(command: Command, { run }: SwitchOptions): Promise<void> {
  const printed = await run(command);
  // networksetup complains so, and ends with 0.
  const [complaint] = /^\*\* Error.*/m.exec(printed) ?? [];
  if (complaint !== undefined) throw failure(`${command.program} ${command.args[0]}: ${complaint}`);
}

function announceCommands(commands: readonly Command[], { desktop, print, dryRun }: SwitchOptions): void {
  const all = desktop.announce === undefined ? commands : [...commands, desktop.announce];
  print(dryRun ? 'would run:' : 'running:');
  for (const command of all) print(`  ${commandLineText(command, desktop.name)}`);
}

async function tell({ desktop, run, warn }: SwitchOptions): Promise<void> {
  if (desktop.announce === undefined) return;
  try {
    await run(desktop.announce);
  } catch (error) {
    warn(`programs that run already may notice only when they start anew: ${(error as Error).message}`);
  }
}

function sweep({ mayStayEmpty: path }: Desktop): void {
  if (path !== undefined && statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path);
}

/** A value for a message. */
export function shown(value: string | null): string {
  return value === null ? 'nothing' : withoutPassword(value);
}
