import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSecretFile } from './secret-file.ts';

describe('readSecretFile', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (content: string, mode: number) => {
    const path = join(folder, 'key');
    writeFileSync(path, content);
    chmodSync(path, mode);
    const warnings: string[] = [];
    const { value } = readSecretFile({ value: path, from: '--password-file' }, message => warnings.push(message));
    return { value, warnings };
  };

  test.each([
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    ['hunter2', 'hunter2'],
    [' hunter2 \n\n', ' hunter2 \n'],
  ])('cuts one newline off %j', (content, value) => {
    expect(read(content, 0o600)).toEqual({ value, warnings: [] });
  });

  test.each([0o644, 0o640, 0o604])('warns of mode %o, without the secret', mode => {
    const { warnings } = read('hunter2', mode);
    expect(warnings).toEqual([expect.stringMatching(/^--password-file: others can read .*chmod 600/)]);
    expect(warnings[0]).not.toContain('hunter2');
  });

  test('names flag and file when there is nothing to read', () => {
    expect(() => read('\n', 0o600)).toThrow(/^--password-file: .*key is empty/);
    const missing = { value: join(folder, 'none'), from: 'SS_PASSWORD_FILE' };
    expect(() => readSecretFile(missing, () => {})).toThrow(/^SS_PASSWORD_FILE: cannot read .*none \(ENOENT\)/);
  });
});
