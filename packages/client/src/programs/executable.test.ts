import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Files, findCommand, obstacleOf } from './executable.ts';
import { runSystem } from './run-system.ts';

const folder = mkdtempSync(join(tmpdir(), 'podsocks-executable-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { files } = runSystem;

function script(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode });
  return path;
}

const obstacle = (path: string, platform: NodeJS.Platform = 'linux', its: Files = files) =>
  obstacleOf(path, process.env.PATH, platform, its);

describe('a command', () => {
  it('is looked for as execvp does', () => {
    mkdirSync(join(folder, 'b/tool'), { recursive: true });
    mkdirSync(join(folder, 'c'), { recursive: true });
    const path = script('c/tool', '#!/bin/sh\n');
    const PATH = `${folder}/a:${folder}/b:${folder}/c`;
    expect(findCommand('tool', PATH, files)).toEqual({ found: path });
    expect(findCommand(path, '', files)).toEqual({ found: path });
    expect(findCommand('nothing', PATH, files)).toMatchObject({ missing: { code: 'ENOENT' } });
    symlinkSync('nowhere', join(folder, 'c/dangling'));
    expect(findCommand('dangling', PATH, files)).toMatchObject({ missing: { code: 'ENOENT' } });
    expect(findCommand('', PATH, files)).toMatchObject({ missing: { code: 'ENOENT' } });
    expect(findCommand(`${folder}/b/tool`, PATH, files)).toMatchObject({ missing: { code: 'ENOENT' } });
    expect(findCommand('sh', undefined, files)).toMatchObject({ found: expect.stringMatching(/\/sh$/) });
  });

  it('that may not be executed is told from one that is not there', () => {
    const path = script('plain', 'text', 0o644);
    expect(findCommand(path, '', files)).toMatchObject({ missing: { code: 'EACCES' } });
    expect(findCommand('plain', folder, files)).toMatchObject({ missing: { code: 'EACCES' } });
  });
});

describe.runIf(process.platform === 'linux')('what a library can be loaded into', () => {
  it('is a dynamic program, and a script of one', () => {
    expect(obstacle(process.execPath)).toBeUndefined();
    expect(obstacle(script('direct', `#!${process.execPath}\n`))).toBeUndefined();
    expect(obstacle(script('by-env', '#!/usr/bin/env -S sh -e\n'))).toBeUndefined();
  });

  it('is taken to be what cannot be read, is cut off, or goes in a circle', () => {
    const header = files.read(process.execPath, 0, 4096);
    for (let length = 0; length < 4096; length += 61) {
      const path = join(folder, 'cut');
      writeFileSync(path, header.subarray(0, length));
      expect(() => obstacle(path), `${length}`).not.toThrow();
    }
    const circle = join(folder, 'circle');
    script('circle', `#!${circle}\n`);
    expect(obstacle(circle)).toBeUndefined();
    expect(obstacle(join(folder, 'nothing'))).toBeUndefined();
    expect(obstacle(script('no-interpreter', '#!\n'))).toBeUndefined();
  });

  it('is not a program with the rights of its owner', () => {
    const path = join(folder, 'setuid');
    copyFileSync(process.execPath, path);
    chmodSync(path, 0o4755);
    expect(obstacle(path)).toEqual({ file: path, obstacle: 'setuid' });
    chmodSync(path, 0o2755);
    expect(obstacle(path)).toMatchObject({ obstacle: 'setuid' });
  });

  it('is not a script of a program that it is not', () => {
    const interpreter = join(folder, 'setuid-interpreter');
    copyFileSync(process.execPath, interpreter);
    chmodSync(interpreter, 0o4755);
    const path = script('of-setuid', `#! ${interpreter} -x\n`);
    expect(obstacle(path)).toEqual({ file: interpreter, obstacle: 'setuid' });
    const byEnv = script('of-setuid-by-env', '#!/usr/bin/env -S -i A=1 setuid-interpreter -x\n');
    expect(obstacleOf(byEnv, `${folder}:${process.env.PATH}`, 'linux', files)).toEqual({
      file: interpreter,
      obstacle: 'setuid',
    });
  });
});

it('on macOS is not what System Integrity Protection covers, behind whatever link', () => {
  const macOs: Files = {
    ...files,
    realPath: path => (path === '/opt/bin/link' ? '/usr/bin/curl' : path),
    read: path => Buffer.from(path.endsWith('script') ? '#!/usr/bin/env curl\n' : 'Mach-O'),
    stat: () => ({ mode: 0o100755, isFile: true }),
    isExecutable: () => true,
  };
  const its = (path: string) => obstacleOf(path, '/opt/homebrew/bin:/usr/bin', 'darwin', macOs)?.obstacle;
  expect(['/usr/bin/curl', '/bin/ls', '/System/x', '/opt/bin/link'].map(its)).toEqual(Array(4).fill('protected'));
  expect(['/usr/local/bin/curl', '/opt/homebrew/bin/curl', '/opt/script'].map(its)).toEqual(Array(3).fill(undefined));
});
