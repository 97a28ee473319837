import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOnPath } from '../../bench/src/executables.ts';

export interface GoProgram {
  readonly path: string;
  close(): Promise<void>;
}

/** Why no Go program can be built here, if none can. */
export function goObstacle(): string | undefined {
  return findOnPath('go') === undefined ? 'not installed: go' : undefined;
}

/** Builds go/fetch.go; without cgo it is static. */
export async function buildFetch({ cgo = false, flags = [] as readonly string[] } = {}): Promise<GoProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-go-'));
  const path = join(folder, 'fetch');
  const source = fileURLToPath(new URL('go/fetch.go', import.meta.url));
  const env = { ...process.env, CGO_ENABLED: cgo ? '1' : '0' };
  execFileSync(findOnPath('go') ?? 'go', ['build', ...flags, '-o', path, source], { cwd: folder, env });
  return { path, close: async () => rmSync(folder, { recursive: true, force: true }) };
}
