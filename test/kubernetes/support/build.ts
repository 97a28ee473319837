import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubernetesObject } from './objects.ts';

export const MANIFESTS = fileURLToPath(new URL('../../../k8s', import.meta.url));

/** What can be given to `kubectl apply -k`, below k8s/. */
export const TARGETS = ['base', 'overlays/loadbalancer', 'overlays/monitoring', 'overlays/single-user'] as const;
export type Target = (typeof TARGETS)[number];

/** 32 bytes each, and of nobody. */
export const PASSWORD = Buffer.alloc(32, 'server').toString('base64');
export const USERS = JSON.stringify({
  users: [{ name: 'ada', password: Buffer.alloc(32, 'ada').toString('base64'), groups: ['dev'] }],
});

const SECRETS = {
  'base/secret/password': PASSWORD,
  'base/secret/users.json': USERS,
  'overlays/single-user/secret/password': PASSWORD,
};

/** A copy of the manifests, with secrets in it or as in a fresh clone. Whoever made it removes it. */
export function copyManifests({ secrets }: { readonly secrets: boolean }): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'podsocks-manifests-'));
  const isSecret = (source: string) => Object.keys(SECRETS).some(name => source === join(MANIFESTS, name));
  cpSync(MANIFESTS, path, { recursive: true, filter: source => !isSecret(source) });
  if (secrets) for (const [name, text] of Object.entries(SECRETS)) writeFileSync(join(path, name), text);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** What would be applied, as text; `command` is `kustomize build` or `kubectl kustomize`. */
export async function build(command: readonly string[], directory: string): Promise<string> {
  const [program, ...args] = [...command, directory];
  const { stdout } = await promisify(execFile)(program!, args, { maxBuffer: 16 * 1024 * 1024, timeout: 60_000 });
  return stdout;
}

export function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text).map(document => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as KubernetesObject;
  });
}

/** For a suite: what `command` makes of each target, built before its tests; not asked for where these are skipped. */
export function builtBy(command: () => readonly string[]): (target: Target) => KubernetesObject[] {
  const built = new Map<Target, KubernetesObject[]>();
  beforeAll(async () => {
    const manifests = copyManifests({ secrets: true });
    try {
      for (const target of TARGETS) {
        built.set(target, parseObjects(await build(command(), join(manifests.path, target))));
      }
    } finally {
      manifests.remove();
    }
  });
  return (target: Target) => built.get(target)!;
}
