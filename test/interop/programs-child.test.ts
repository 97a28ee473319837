import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { type NamedCluster, startNamedCluster } from './named-cluster.ts';

// How a program that `ss-local run` runs ends, and what signals come to it.

const cluster = suiteResource(() => startNamedCluster());

const commandOf = ({ command }: NamedCluster, program: readonly string[]) =>
  [...command, 'run', '--', ...program] as const;

async function start(program: readonly string[]) {
  const [ssLocal, ...args] = commandOf(await cluster(), program);
  // Without the terminal that this test may run in.
  const child = spawn(ssLocal!, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text;
  });
  const closed = once(child, 'close') as Promise<[code: number | null, signal: string | null]>;
  return {
    child,
    ready: () => expect.poll(() => out, { timeout: 20_000 }).toContain('ready'),
    async end() {
      const [code, signal] = await closed;
      return { code, signal, out, err };
    },
  };
}

describe.runIf(process.platform !== 'win32')('a program of ss-local run', () => {
  test('has the standard streams and the exit code', async () => {
    const { child, end } = await start(['sh', '-c', 'read word; echo "got $word"; echo oops >&2; exit 7']);
    child.stdin.end('this\n');
    expect(await end()).toEqual({ code: 7, signal: null, out: 'got this\n', err: 'oops\n' });
  });

  test.each([
    ['nothing-of-that-name', 127, /^ss-local: run: "nothing-of-that-name": there is no such program\n$/],
    ['/etc/passwd', 126, /^ss-local: run: "\/etc\/passwd": cannot be run \(EACCES\)\n$/],
  ])('that is %s ends with %d', async (program, expected, message) => {
    const { end } = await start([program]);
    const { code, err } = await end();
    expect(code).toBe(expected);
    expect(err).toMatch(message);
  });

  test.each(['TERM', 'INT', 'HUP', 'KILL'])('that dies of SIG%s: so does ss-local', async name => {
    const { end } = await start(['sh', '-c', `kill -${name} $$`]);
    expect(await end()).toEqual({ code: null, signal: `SIG${name}`, out: '', err: '' });
  });

  test('that dumps core: its number, without a core of ss-local', async () => {
    const { end } = await start(['sh', '-c', 'ulimit -c 0; kill -SEGV $$']);
    expect(await end()).toMatchObject({ code: 139, signal: null });
  });

  test.each(['TERM', 'HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'WINCH'] as const)(
    'is told of SIG%s, and has the last word',
    async name => {
      const trap = `trap 'echo told; exit 5' ${name}; echo ready; while :; do sleep 0.05; done`;
      const { child, ready, end } = await start(['sh', '-c', trap]);
      await ready();
      child.kill(`SIG${name}`);
      expect(await end()).toEqual({ code: 5, signal: null, out: 'ready\ntold\n', err: '' });
    },
  );

  test('does not know the secrets', async () => {
    const { command, config } = await cluster();
    const { password } = JSON.parse(await readFile(config, 'utf8'));
    const secrets = [`SS_PASSWORD=${password}`, 'SS_SOCKS_USERNAME=ada', 'SS_SOCKS_PASSWORD=tell-nobody'];
    const said = String(await runCommand('env', [...secrets, ...command, 'run', '--', 'env']));
    expect(said).toMatch(/^SS_SOCKS_USERNAME=ada$/m);
    expect(said).not.toContain(password);
    expect(said).not.toContain('SS_SOCKS_PASSWORD');
  });
});

describeWith(['python3 with PySocks'], 'a program of ss-local run, in a terminal', () => {
  const inTerminal = fileURLToPath(new URL('python/in_terminal.py', import.meta.url));
  const type = async (keys: string, program: readonly string[]) => {
    const args = [inTerminal, keys, ...commandOf(await cluster(), program)];
    return String(await runCommand(pathOf('python3 with PySocks'), args)).replaceAll('\r', '');
  };

  test('gets one Ctrl-C, not two, and may go on', async () => {
    const count = `
import os, signal, sys, time
told = []
signal.signal(signal.SIGINT, lambda *_: told.append(1))
os.write(1, b'ready\\n')
while not told: time.sleep(0.01)
os.write(1, b'again\\n')
while len(told) < 2: time.sleep(0.01)
os.kill(os.getppid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'%d told\\n' % len(told)), sys.exit(9)))
while True: time.sleep(0.01)`;
    expect(await type('\\x03', ['python3', '-c', count])).toBe('ready\n^Cagain\n^C2 told\nended 9\n');
  });

  test('that dies of Ctrl-C ends ss-local the same way, as shells want to know', async () => {
    const said = await type('\\x03', ['sh', '-c', 'echo ready; exec sleep 60']);
    expect(said).toBe('ready\n^Cended -2\n');
  });
});
