import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { obstacleOf } from '@podsocks/client/programs/executable';
import { runSystem } from '@podsocks/client/programs/run-system';
import { describe, expect, test } from 'vitest';
import { findOnPath } from '../../bench/src/executables.ts';
import { describeWhereNodeReadsVariables } from '../support/node-proxy-variables.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { buildFetch, goObstacle } from './go-program.ts';
import { NAME, type NamedCluster, startNamedCluster } from './named-cluster.ts';

/*
 *  program ─ variables ─▶ ss-local run, in its own process ═▶ ss-server ─▶ DNS and web server of the test
 *
 * The name is one that only the test's DNS server knows, so what arrives has gone through the tunnel.
 */
const open = suiteResource(() => startNamedCluster());
const locked = suiteResource(() => startNamedCluster({ socks_users: [{ username: 'ada', password: 'p@ss/ü"\'#' }] }));

/** Runs a program with `ss-local run`; returns its standard output. */
async function run(cluster: NamedCluster, command: readonly string[], ...flags: readonly string[]): Promise<string> {
  const [ssLocal, ...args] = cluster.command;
  return String(await runCommand(ssLocal, [...args, 'run', ...flags, '--', ...command]));
}

async function expectBody(path: string, command: (cluster: NamedCluster) => readonly string[], clusters = [open]) {
  for (const cluster of clusters) {
    const its = await cluster();
    expect(await run(its, command(its))).toBe(`hello from ${NAME}:${its.port}${path}`);
  }
}

const both = [open, locked];
const installed = (name: string) => () => (findOnPath(name) === undefined ? `not installed: ${name}` : undefined);

describeWith(['curl'], 'ss-local run -- curl', () => {
  test('by HTTP', () => expectBody('/x', ({ url }) => [pathOf('curl'), '-qsS', `${url}/x`], both));
  test('by ALL_PROXY', async () => {
    const without = ['env', '-u', 'http_proxy', '-u', 'HTTP_PROXY', pathOf('curl'), '-qsS'];
    await expectBody('/y', ({ url }) => [...without, `${url}/y`], both);
  });

  test('of an instance that runs', async () => {
    const cluster = await locked();
    const { local_port: port } = JSON.parse(String(await runCommand('cat', [cluster.config])));
    const instance: ProgramRun = await startProgram('ss-local', cluster.command, port);
    try {
      const env = await run(cluster, ['sh', '-c', 'echo "$http_proxy"']);
      expect(env).toBe(`http://ada:p%40ss%2F%C3%BC%22%27%23@127.0.0.1:${port}\n`);
      await expectBody('/z', ({ url }) => [pathOf('curl'), '-qsS', `${url}/z`], [locked]);
      // The same by what a shell evaluates.
      const evaluated = `eval "$("$@" env --shell bash)" && exec curl -qsS ${cluster.url}/evaluated`;
      const said = await runCommand('bash', ['-c', evaluated, 'bash', ...cluster.command]);
      expect(String(said)).toBe(`hello from ${NAME}:${cluster.port}/evaluated`);
    } finally {
      await instance.stop();
    }
  });
});

describeWith(['python3 with PySocks'], 'ss-local run -- python3', () => {
  const urllib = 'import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())';
  test('urllib', () => expectBody('/u', ({ url }) => ['python3', '-c', urllib, `${url}/u`], both));
});

describeWith(
  [],
  'ss-local run -- git',
  () => {
    test('ls-remote, whatever its files say', async () => {
      for (const cluster of both) {
        const its = await cluster();
        const file = `${its.config}.gitconfig`;
        writeFileSync(file, '[http]\nproxy = http://127.0.0.1:1\n');
        const git = ['env', `GIT_CONFIG_GLOBAL=${file}`, 'git', 'ls-remote', `${its.url}/repository.git`];
        expect(await run(its, git)).toContain(`${'a'.repeat(40)}\trefs/heads/main`);
      }
    });
  },
  installed('git'),
);

describeWith(
  [],
  'ss-local run -- npm',
  () => {
    test('view', async () => {
      for (const cluster of both) {
        const its = await cluster();
        const cache = mkdtempSync(join(tmpdir(), 'podsocks-npm-'));
        try {
          const options = ['--registry', `${its.url}/npm/`, '--cache', cache, '--userconfig', join(cache, 'npmrc')];
          writeFileSync(join(cache, 'npmrc'), 'proxy=http://127.0.0.1:1\n');
          expect(await run(its, ['npm', ...options, 'view', 'left-pad', 'version'])).toBe('1.2.3\n');
        } finally {
          rmSync(cache, { recursive: true, force: true });
        }
      }
    });
  },
  installed('npm'),
);

describeWhereNodeReadsVariables('ss-local run -- node', () => {
  const fetching = 'fetch(process.argv[1]).then(async r => process.stdout.write(await r.text()))';
  const getting = 'require("http").get(process.argv[1], r => r.pipe(process.stdout))';
  test('fetch', () => expectBody('/f', ({ url }) => [process.execPath, '-e', fetching, `${url}/f`], both));
  test('http.get', () => expectBody('/g', ({ url }) => [process.execPath, '-e', getting, `${url}/g`], both));
});

describeWith(['java'], 'ss-local run -- java', () => {
  const source = fileURLToPath(new URL('java/ThroughProxies.java', import.meta.url));
  for (const how of ['url', 'client', 'unresolved']) {
    test(how, () => expectBody(`/java-${how}`, ({ port }) => [pathOf('java'), source, how, NAME, `${port}`]));
  }
});

describeWith(
  [],
  'ss-local run -- a static Go program',
  () => {
    const fetch = suiteResource(() => buildFetch());
    test('that reads the variables', async () => {
      const { path } = await fetch();
      await expectBody('/go', ({ url }) => [path, `${url}/go`], both);
    });

    test('that does not, and cannot be forced, as is said', async () => {
      const cluster = await open();
      const { path } = await fetch();
      const [ssLocal, ...args] = cluster.command;
      const forced = [...args, 'run', '--force', '--', path, '-raw', `${cluster.url}/raw`];
      const { status, stderr } = spawnSync(ssLocal, forced, { encoding: 'utf8' });
      expect(status).toBe(1);
      expect(stderr).toMatch(/--force: .*fetch is a Go program, which makes its system calls itself/);
      expect(cluster.requests).not.toContain('GET /raw');
    });

    test('is known as one, static or not, stripped or not', async () => {
      for (const cgo of [false, true]) {
        for (const flags of [[], ['-ldflags', '-s -w']]) {
          const { path, close } = await buildFetch({ cgo, flags });
          expect(obstacleOf(path, '', 'linux', runSystem.files)?.obstacle).toBe('go');
          await close();
        }
      }
    });
  },
  goObstacle,
);

describeWith(['proxychains4', 'python3 with PySocks'], 'ss-local run --force', () => {
  const raw = `
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s:
    s.sendall(b'GET /raw-python HTTP/1.0\\r\\nHost: raw\\r\\n\\r\\n')
    sys.stdout.buffer.write(s.makefile('rb').read().split(b'\\r\\n\\r\\n')[1])`;
  const leftovers = () => readdirSync(tmpdir()).filter(name => name.startsWith('ss-local-run-'));

  test('takes a program that knows no proxy', async () => {
    const before = leftovers();
    const cluster = await open();
    const command = [pathOf('python3 with PySocks'), '-c', raw, NAME, `${cluster.port}`];
    expect(await run(cluster, command, '--force')).toBe('hello from raw/raw-python');
    expect(leftovers()).toEqual(before);
  });

  test('leaves alone one that knows them', async () => {
    const cluster = await open();
    const urllib = 'import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())';
    const command = [pathOf('python3 with PySocks'), '-c', urllib, `${cluster.url}/both`];
    expect(await run(cluster, command, '--force')).toBe(`hello from ${NAME}:${cluster.port}/both`);
  });
});

describe('ss-local env', () => {
  test('says that nobody is there', async () => {
    const cluster = await startNamedCluster();
    try {
      const [ssLocal, ...args] = cluster.command;
      const { stdout, stderr, status } = spawnSync(ssLocal, [...args, 'env', '--shell', 'bash'], { encoding: 'utf8' });
      expect(status).toBe(0);
      expect(stdout).toMatch(/^# .*\nexport ALL_PROXY='socks5h:\/\/127\.0\.0\.1:\d+'\n/);
      expect(stderr).toMatch(/^ss-local: env: no ss-local answers at 127\.0\.0\.1:\d+ yet/);
    } finally {
      await cluster.close();
    }
  });
});
