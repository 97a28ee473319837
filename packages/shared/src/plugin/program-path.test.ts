import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { fakePlugin } from './fake-plugin-fixtures.ts';
import { findProgram } from './program-path.ts';

it('finds a program on PATH, by the first name that there is', () => {
  const { folder, path } = fakePlugin('one');
  const environment = { PATH: `/nowhere:${folder}` };
  expect(findProgram(['one'], environment)).toBe(path);
  expect(findProgram(['none', 'one'], environment)).toBe(path);
  expect(findProgram(['none'], environment)).toBeUndefined();
  expect(findProgram(['one'], {})).toBeUndefined();
});

it('takes a path as it is', () => {
  const { path } = fakePlugin();
  expect(findProgram([path], {})).toBe(path);
  expect(findProgram([`./${relative(process.cwd(), path)}`], {})).toBe(path);
});

it('does not look where one stands', () => {
  const { folder } = fakePlugin('one');
  const here = relative(process.cwd(), folder);
  expect(findProgram(['one'], { PATH: `${here}:.::` })).toBeUndefined();
});

it('passes by what cannot be run', () => {
  const { folder } = fakePlugin();
  writeFileSync(join(folder, 'text'), '');
  chmodSync(join(folder, 'text'), 0o644);
  mkdirSync(join(folder, 'directory'));
  for (const name of ['text', 'directory']) expect(findProgram([name], { PATH: folder })).toBeUndefined();
});
