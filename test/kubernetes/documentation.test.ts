import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { SERVER } from '../support/own-program.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { build, copyManifests, parseObjects } from './support/build.ts';
import { type DeploymentSpec, specOf } from './support/objects.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const GUIDE = read('docs/kubernetes.md');

/** The code blocks of a language that have this in them. */
function blocks(document: string, language: string, text: string): string[] {
  const all = [...document.matchAll(new RegExp(`^ *\`\`\`${language}\n(.*?)^ *\`\`\``, 'gms'))];
  return all.map(([, code]) => code!).filter(code => code.includes(text));
}

describe('the three commands', () => {
  const [install] = blocks(GUIDE, 'sh', 'genkey');

  it('are the same in README.md', () => {
    expect(install!.trim().split('\n')).toHaveLength(3);
    expect(blocks(read('README.md'), 'sh', 'k8s/base/secret/password')[0]).toBe(install);
  });

  it('make keys that only their owner reads, and never replace that of the server', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podsocks-install-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const secrets = join(directory, 'k8s/base/secret');
    mkdirSync(secrets, { recursive: true });
    const program = fileURLToPath(new URL(`../../${SERVER}`, import.meta.url));
    const [first] = install!.split('\n');
    const script = `npx() { shift; '${process.execPath}' '${program}' "$@"; }\n${first}`;
    const run = (text: string) => promisify(execFile)('sh', ['-c', text], { cwd: directory });
    // As it is left by a first try before `npm ci`.
    writeFileSync(join(secrets, 'password'), '', { mode: 0o600 });
    await run(script);
    const key = readFileSync(join(secrets, 'password'), 'utf8');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    // For somebody else, and by mistake.
    await run(script.replace(' ada ', ' ben '));
    await expect(run(script)).rejects.toThrow(/ada/);
    expect(readFileSync(join(secrets, 'password'), 'utf8')).toBe(key);
    const { users } = JSON.parse(readFileSync(join(secrets, 'users.json'), 'utf8')) as { users: { name: string }[] };
    expect(users.map(({ name }) => name)).toEqual(['ada', 'ben']);
    const { stdout } = await run('find k8s/base/secret -type f -perm /077');
    expect(stdout).toBe('');
  });
});

describeWith(['kustomize'], 'patches for overlays of ones own', () => {
  const patched = async (text: string) => {
    const [yaml] = blocks(GUIDE, 'yaml', text);
    const manifests = copyManifests({ secrets: true });
    onTestFinished(() => manifests.remove());
    const overlay = join(manifests.path, 'overlays/ours');
    mkdirSync(overlay);
    const resources = ['../../base'];
    writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify({ resources, ...parse(yaml!) }));
    return parseObjects(await build([pathOf('kustomize'), 'build'], overlay));
  };

  it('leave the number of pods to the autoscaler', async () => {
    const objects = await patched('/spec/replicas');
    expect(specOf<DeploymentSpec>(objects, 'Deployment').replicas).toBeUndefined();
    expect(specOf<{ minReplicas: number }>(objects, 'HorizontalPodAutoscaler').minReplicas).toBe(2);
  });

  it('give the Service both families', async () => {
    const objects = await patched('ipFamilyPolicy');
    expect(specOf<{ ipFamilyPolicy: string }>(objects, 'Service', 'ss-server').ipFamilyPolicy).toBe('PreferDualStack');
  });

  it('former keys and policies have the label by which they are found', async () => {
    const objects = await patched('/spec/replicas');
    const kept = objects.filter(({ kind }) => kind === 'Secret' || kind === 'ConfigMap');
    expect(kept).toHaveLength(3);
    for (const { metadata } of kept) expect(metadata.labels?.['app.kubernetes.io/part-of']).toBe('podsocks');
  });
});
