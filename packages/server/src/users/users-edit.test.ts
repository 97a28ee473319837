import fs, { existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { editUsers, type UserRecord } from './users-edit.ts';
import { keyText, testFolder } from './users-files-fixtures.ts';

type Fs = typeof fs;

/** What the system does otherwise than it would. */
const system = vi.hoisted(() => ({ calls: {} as Partial<Record<string, unknown>> }));

vi.mock('node:fs', async original => {
  const real = await original<Fs>();
  const replaceable = (name: 'writeSync' | 'writeFileSync' | 'openSync' | 'fchownSync' | 'fchmodSync' | 'statSync') => {
    const through = (...args: unknown[]) =>
      ((system.calls[name] ?? real[name]) as (...all: unknown[]) => unknown)(...args);
    return { [name]: through };
  };
  const replaced = Object.assign(
    {},
    ...(['writeSync', 'writeFileSync', 'openSync', 'fchownSync', 'fchmodSync', 'statSync'] as const).map(replaceable),
  );
  return { ...real, ...replaced, default: real };
});

afterEach(() => {
  system.calls = {};
});

const ada = { name: 'ada', password: keyText(1) };
const ben = { name: 'ben', password: keyText(2) };
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const failure = (code: string) => Object.assign(new Error(code), { code });

function usersFile(mode = 0o600): string {
  const path = join(testFolder(), 'users.json');
  writeFileSync(path, JSON.stringify({ users: [ada] }), { mode });
  return path;
}

function add(path: string, record: UserRecord = ben): readonly string[] {
  const warnings: string[] = [];
  editUsers(
    path,
    records => [...records, record],
    () => {},
    warning => void warnings.push(warning),
  );
  return warnings;
}

describe('a file of users that is edited', () => {
  it('stays as it is when the disk is full, and nothing says that it changed', () => {
    const path = usersFile();
    // A write that has no room for all writes what there is room for, and says how much; the next one fails.
    system.calls.writeSync = (descriptor: number, text: string) => fs.writeSync(descriptor, text.slice(0, 10));
    system.calls.writeFileSync = (descriptor: number, text: string) => {
      fs.writeFileSync(descriptor, text.slice(0, 10));
      throw failure('ENOSPC');
    };
    expect(() => add(path)).toThrow(/^cannot write .*users\.json \(ENOSPC\)/);
    system.calls = {};
    expect(read(path)).toEqual({ users: [ada] });
    expect(readdirSync(join(path, '..'))).toEqual(['users.json']);
  });

  it('keeps those whom somebody else added just before, although there was no file', () => {
    const path = join(testFolder(), 'users.json');
    system.calls.openSync = (...args: Parameters<Fs['openSync']>) => {
      if (!existsSync(path)) fs.writeFileSync(path, JSON.stringify({ users: [ada] }), { mode: 0o600 });
      return fs.openSync(...args);
    };
    add(path);
    expect(read(path)).toEqual({ users: [ada, ben] });
  });

  it('is where a link leads, also before there is anything', () => {
    const folder = testFolder();
    const path = join(folder, 'users.json');
    symlinkSync('other.json', path);
    symlinkSync(join('..', folder.split('/').at(-1)!, 'real.json'), join(folder, 'other.json'));
    add(path);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(folder, 'other.json')).isSymbolicLink()).toBe(true);
    expect(read(join(folder, 'real.json'))).toEqual({ users: [ben] });
    symlinkSync('loop', join(folder, 'loop'));
    expect(() => add(join(folder, 'loop'))).toThrow(/cannot write .*loop \(ELOOP\)/);
    symlinkSync('none/x', join(folder, 'astray'));
    expect(() => add(join(folder, 'astray'))).toThrow(/cannot write .*none.* \(ENOENT\)/);
    expect(lstatSync(join(folder, 'astray')).isSymbolicLink()).toBe(true);
  });
});

describe.runIf(process.platform !== 'win32')('who may read a file of users', () => {
  /** It belongs to others; what the system lets us give away, and what we do in which order. */
  function ofOthers(isAllowed: (uid: number) => boolean) {
    const path = usersFile();
    fs.chmodSync(path, 0o640);
    const done: unknown[][] = [];
    system.calls.statSync = (its: string) => Object.assign(fs.statSync(its), { uid: 1234, gid: 2345 });
    system.calls.fchownSync = (_: number, uid: number, gid: number) => {
      if (!isAllowed(uid)) throw failure('EPERM');
      done.push(['chown', uid, gid]);
    };
    system.calls.fchmodSync = (descriptor: number, mode: number) => {
      done.push(['chmod', mode.toString(8)]);
      fs.fchmodSync(descriptor, mode);
    };
    const warnings = add(path).filter(warning => !warning.includes('others can read')); // to the reading it is ours
    system.calls = {};
    return { done, warnings, mode: (statSync(path).mode & 0o777).toString(8), path };
  }

  it('stays the same, and others get no chance in between', () => {
    const { done, warnings } = ofOthers(() => true);
    expect(done).toEqual([
      ['chown', 1234, 2345],
      ['chmod', '640'],
    ]);
    expect(warnings).toEqual([]);
  });

  it('is still the group where it cannot be given to its owner, which is said', () => {
    const { done, warnings, mode, path } = ofOthers(uid => uid === -1);
    expect(done).toEqual([
      ['chown', -1, 2345],
      ['chmod', '640'],
    ]);
    expect(mode).toBe('640');
    expect(warnings).toEqual([expect.stringMatching(/its owner could not be kept; .*: chown 1234:2345 \S+$/)]);
    expect(warnings[0]).toContain(path);
  });

  it('is no other group', () => {
    const { done, warnings, mode } = ofOthers(() => false);
    expect(done).toEqual([['chmod', '600']]);
    expect(mode).toBe('600');
    expect(warnings).toEqual([
      expect.stringMatching(/its owner and group could not be kept; .*chown 1234:2345 \S+ && chmod 640 /),
    ]);
  });

  it('is warned of once', () => {
    const path = usersFile();
    fs.chmodSync(path, 0o644);
    expect(add(path)).toEqual([expect.stringContaining('others can read')]);
  });
});
