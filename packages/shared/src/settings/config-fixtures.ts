import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';

/** What the tests of a program's configuration give it. */
export interface Sources {
  readonly flags?: Record<string, unknown>;
  readonly env?: Record<string, string>;
  readonly file?: Record<string, unknown>;
}

type Load<Loaded> = (
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
  nodeVersion: string,
) => Loaded;

/**
 * Runs a program's loader on flags, environment and a file in a folder of the test's own.
 *
 * @param secrets what no complaint may hold.
 */
export function configHarness<Loaded>(loader: Load<Loaded>, secrets: readonly string[]) {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const path = () => join(folder, 'config.json');

  /** Node.js 24, so that reuse_port is taken. */
  function load({ flags = {}, env = {}, file }: Sources): Loaded {
    if (file) writeFileSync(path(), JSON.stringify(file));
    return loader({ ...flags, ...(file && { config: path() }) }, env, '24.0.0');
  }

  /** What it complains of, without the path of the file. */
  function complaint(sources: Sources): string {
    try {
      load(sources);
    } catch (error) {
      expect(error).toBeInstanceOf(PodsocksError);
      const { message } = error as PodsocksError;
      for (const secret of secrets) expect(message).not.toContain(secret);
      return message.replace(`${path()}: `, '');
    }
    throw new Error('accepted');
  }

  /** The path of a file that holds a secret, as an editor writes it. */
  function secretFile(content: string): string {
    const file = join(folder, 'key');
    writeFileSync(file, `${content}\n`, { mode: 0o600 });
    return file;
  }

  return { load, complaint, secretFile, path };
}
