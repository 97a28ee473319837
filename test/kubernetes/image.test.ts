import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findOnPath } from '../../bench/src/executables.ts';
import { describeWith } from '../support/programs.ts';
import { assemble, copyContext, parseDockerfile, textsOf } from './support/dockerfile.ts';
import type { DeploymentSpec } from './support/objects.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(repository, path), 'utf8');
const stages = parseDockerfile(read('Dockerfile'));
const last = stages.at(-1)!;
const { version } = JSON.parse(read('packages/server/package.json')) as { version: string };
const { spec } = parse(read('k8s/common/deployment.yaml')) as { spec: DeploymentSpec };

describe('Dockerfile', () => {
  it('takes one release of Node and of Debian in all stages, a long-term one', () => {
    const releases = stages.map(
      ({ image }) => /(?:node:|nodejs)(\d+)(?:[.]\d+[.]\d+)?-(?:bookworm|debian12)/.exec(image)?.[1],
    );
    expect(new Set(releases)).toEqual(new Set(['24']));
    for (const { image } of stages) expect(image).not.toMatch(/latest|-slim/);
  });

  it('runs as the user that the Deployment names, on the ports that it names', () => {
    const { runAsUser, runAsGroup } = spec.template.spec.securityContext as Record<string, number>;
    expect(textsOf(last, 'USER')).toEqual([`${runAsUser}:${runAsGroup}`]);
    const ports = spec.template.spec.containers[0]!.ports!;
    expect(textsOf(last, 'EXPOSE')).toEqual([
      ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol!.toLowerCase()}`).join(' '),
    ]);
  });

  it('has the version of the package, and so have the manifests', () => {
    expect(textsOf(last, 'LABEL').join(' ')).toContain(`org.opencontainers.image.version="${version}"`);
    const { images } = parse(read('k8s/common/kustomization.yaml')) as { images: { newTag: string }[] };
    expect(images.map(({ newTag }) => newTag)).toEqual([version]);
  });

  it('runs nothing in the last stage, which has no shell', () => {
    expect(textsOf(last, 'RUN')).toEqual([]);
    expect(JSON.parse(textsOf(last, 'ENTRYPOINT')[0]!)).toHaveLength(2);
  });
});

const noCompiler = () => (findOnPath('cc') ? undefined : 'no C compiler (cc)');

describeWith([], 'the tree of the image, assembled by the steps of the Dockerfile', suite, noCompiler);

function suite(): void {
  let directory: string;
  let context: string;
  let root: string;
  let paths: string[];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'podsocks-image-'));
    context = join(directory, 'context');
    copyContext(repository, context);
    root = await assemble(stages, context, join(directory, 'first'));
    paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  }, 180_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const entry = () => join(root, JSON.parse(textsOf(last, 'ENTRYPOINT')[0]!)[1]);
  const run = (command: readonly string[], args: readonly string[], env: Record<string, string> = {}) => {
    const [program, ...rest] = [...command, entry(), ...args];
    return promisify(execFile)(program!, rest, { env: { ...process.env, ...env }, timeout: 120_000 });
  };

  it('the builder gets no secrets, no tests and no build of this machine', () => {
    const given = readdirSync(context, { recursive: true, encoding: 'utf8' });
    expect(given).toContain('packages/server/bin/ss-server.cjs');
    expect(
      given.filter(path => /^(?!packages|package\.json|package-lock\.json|tsconfig\.base\.json|LICENSE)/.test(path)),
    ).toEqual([]);
    expect(given.filter(path => /\.test\.ts$|(^|\/)(dist|build|node_modules|client)(\/|$)/.test(path))).toEqual([]);
  });

  it.each(['20', '24'])('starts with Node %s, with the native addon', async major => {
    const own = process.versions.node.startsWith(`${major}.`);
    const node = own ? [process.execPath] : ['npx', '-y', '-p', `node@${major}`, '--', 'node'];
    const { stdout } = await run(node, ['--version']);
    expect(stdout.trim()).toBe(version);
    const password = Buffer.alloc(32, 'x').toString('base64');
    const check = await run(node, ['--check'], { SS_PASSWORD: password, SS_CRYPTO_BACKEND: 'native' });
    expect(check.stdout).toMatch(/native/);
  });

  it('has the production dependencies of the lock file, and no others', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { dev?: boolean; optional?: boolean; link?: boolean }>;
    };
    const installed = paths.filter(path => /^app\/node_modules\/(@[^/]+\/)?[^/@.][^/]*$/.test(path));
    expect(installed.length).toBeGreaterThan(20);
    for (const path of installed) {
      const locked = packages[path.slice('app/'.length)];
      expect(locked, path).toBeDefined();
      expect(locked!.dev, path).toBeUndefined();
    }
  });

  it('has no sources, compilers, client or keys', () => {
    const ours = paths.filter(path => !path.startsWith('app/node_modules/'));
    expect(ours.filter(path => /\.(c|h|ts|map|mjs|md|tsbuildinfo)$|client|bench|secret\//.test(path))).toEqual([]);
    expect(paths).toContain('app/packages/native/build/aead.node');
    expect(
      paths.filter(path => /^app\/node_modules\/(typescript|vitest|node-api-headers|@biomejs)/.test(path)),
    ).toEqual([]);
  });

  it('is readable for everybody and writable for root only, and its links lead somewhere', () => {
    for (const path of paths) {
      const stat = lstatSync(join(root, path));
      if (stat.isSymbolicLink()) {
        expect(readlinkSync(join(root, path)), path).not.toMatch(/^\//);
        expect(existsSync(join(root, path)), path).toBe(true);
      } else if (path !== 'app' && path.startsWith('app/')) {
        expect(stat.mode & 0o044, path).toBe(0o044);
        expect(stat.mode & 0o022, path).toBe(0);
      }
    }
  });

  it('is small', () => {
    const bytes = paths.reduce((sum, path) => sum + lstatSync(join(root, path)).size, 0);
    expect(bytes).toBeLessThan(16 * 2 ** 20);
  });

  it('has a command for kubectl exec, which runs the same program', () => {
    const command = join(root, 'usr/local/bin/ss-server');
    const [shebang, program] = readFileSync(command, 'utf8').split('\n');
    expect(shebang).toBe(`#!${JSON.parse(textsOf(last, 'ENTRYPOINT')[0]!)[0]}`);
    expect(existsSync(join(root, /import\("(.*)"\)/.exec(program!)![1]!))).toBe(true);
    expect(lstatSync(command).mode & 0o111).toBe(0o111);
  });

  it('is the same a second time: names, contents, modes, times', async () => {
    const again = await assemble(stages, context, join(directory, 'second'));
    expect(readdirSync(again, { recursive: true, encoding: 'utf8' }).sort()).toEqual(paths);
    const different = paths.filter(path => path.startsWith('app/') && digestOf(root, path) !== digestOf(again, path));
    expect(different).toEqual([]);
  }, 180_000);
}

function digestOf(root: string, path: string): string {
  const full = join(root, path);
  const { mode, mtimeMs } = lstatSync(full);
  const kind = lstatSync(full);
  const content = kind.isSymbolicLink() ? readlinkSync(full) : kind.isFile() ? readFileSync(full) : '';
  return `${mode} ${kind.isFile() ? mtimeMs : ''} ${createHash('sha256').update(content).digest('hex')}`;
}
