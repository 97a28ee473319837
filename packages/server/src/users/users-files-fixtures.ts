import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A base64 key of 32 bytes, all alike. */
export const keyText = (byte: number): string => Buffer.alloc(32, byte).toString('base64');

/** A folder that goes with the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-users-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes as `ss-server user` and most editors do: aside, and renamed. */
export function replaceFile(path: string, content: object | string): void {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  writeFileSync(`${path}~`, text, { mode: 0o600 });
  renameSync(`${path}~`, path);
}

/** A directory with the files of a Secret, which is mounted into it and updated as the kubelet does. */
export class MountedSecret {
  readonly path: string;
  #version = 0;

  constructor(path: string, files: Readonly<Record<string, string>>) {
    this.path = path;
    mkdirSync(path);
    this.update(files);
  }

  /** AtomicWriter of Kubernetes: a new directory, the link `..data` swapped by rename, links for names, the old one removed. */
  update(files: Readonly<Record<string, string>>): void {
    const before = `..2026_01_01_00_00_00.${this.#version}`;
    const now = `..2026_01_01_00_00_00.${++this.#version}`;
    mkdirSync(join(this.path, now), { mode: 0o755 });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.path, now, name), text, { mode: 0o400 });
    symlinkSync(now, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    for (const name of Object.keys(files)) {
      rmSync(join(this.path, name), { force: true });
      symlinkSync(join('..data', name), join(this.path, name));
    }
    for (const name of this.#names) if (!(name in files)) rmSync(join(this.path, name));
    this.#names = Object.keys(files);
    rmSync(join(this.path, before), { recursive: true, force: true });
  }

  #names: readonly string[] = [];
}
