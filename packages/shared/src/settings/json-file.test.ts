import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { readJsonFile } from './json-file.ts';

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  path = join(folder, 'config.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: string): object {
  writeFileSync(path, content);
  return readJsonFile(path);
}

/** The message without the file, which has to stand in front of it. */
function complaint(content: string): string {
  try {
    read(content);
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    const { code, message } = error as PodsocksError;
    expect(code).toBe('ERR_CONFIG');
    expect(message.startsWith(`${path}: `)).toBe(true);
    expect(message).not.toContain('hunter2');
    return message.slice(path.length + 2);
  }
  throw new Error('accepted');
}

describe('readJsonFile', () => {
  test.each([
    ['', 'line 1, column 1: not JSON; expected a value, but the file ends'],
    ['{\n  "password": "hunter2"\n  "server": 1\n}', 'line 3, column 3: not JSON; expected "," or the closing bracket'],
    [
      '{\n  "password": "hunter2",\n}',
      'line 3, column 1: not JSON; expected a name in double quotes; remove the comma',
    ],
    [
      '{ "password": "hunter2", // x\n}',
      'line 1, column 26: not JSON; expected a name in double quotes; JSON has no comments',
    ],
    [
      "{ 'password': 'hunter2' }",
      'line 1, column 3: not JSON; expected a name in double quotes or "}"; use double quotes',
    ],
    ['{ "password" "hunter2" }', 'line 1, column 14: not JSON; expected ":"'],
    ['{ "password": hunter2 }', 'line 1, column 15: not JSON; expected a value'],
    [
      '{ "password": "hunter2 }',
      'line 1, column 15: not JSON; expected a value; a comma may be missing, or the text that begins here has no end',
    ],
    ['{ "password": "hunter2\\x" }', 'column 15'],
    ['{ "users": ["hunter2"}', 'line 1, column 22: not JSON; expected "," or the closing bracket'],
    ['{ "users": ["hunter2",]', 'line 1, column 23: not JSON; expected a value'],
    ['{ "server_port": 08 }', 'line 1, column 18: not JSON'],
    [
      '{\n  /* hunter2 */ }',
      'line 2, column 3: not JSON; expected a name in double quotes or "}"; JSON has no comments',
    ],
    ['{} # hunter2', 'line 1, column 4: not JSON; expected nothing more; JSON has no comments'],
    ['{} hunter2', 'line 1, column 4: not JSON; expected nothing more'],
    ['{"a":[1,{"b":[]}', 'line 1, column 17: not JSON; expected "," or the closing bracket, but the file ends'],
    ['["hunter2"]', 'has to hold one JSON object'],
    ['null', 'has to hold one JSON object'],
  ])('names line and column of %j', (content, expected) => {
    expect(complaint(content)).toContain(expected);
  });

  test('points into the file, whatever broke it', () => {
    const edit = fc.tuple(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:\\x0 '), fc.nat({ max: 2 }));
    fc.assert(
      fc.property(edit, ([json, position, piece, removed]) => {
        const at = position % (json.length + 1);
        const broken = json.slice(0, at) + piece + json.slice(at + removed);
        try {
          JSON.parse(broken);
        } catch {
          const place = /^line 1, column (\d+): not JSON; expected /.exec(complaint(broken.replaceAll('\n', ' ')));
          expect(Number(place?.[1])).toBeLessThanOrEqual(broken.length + 1);
        }
      }),
    );
  });

  test('survives brackets that are nested deeply', () => {
    expect(complaint('['.repeat(200_000))).toBe('not JSON; its brackets are nested too deeply to say where');
  });

  test('says which file it cannot read', () => {
    const missing = join(folder, 'none.json');
    expect(() => readJsonFile(missing)).toThrow(`${missing} (ENOENT)`);
    expect(() => readJsonFile(folder)).toThrow(`${folder} (EISDIR)`);
  });
});
