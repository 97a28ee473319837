import { EventEmitter, once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it } from 'vitest';
import { type ClientConfig, loadClient, loadLocal } from '../config.ts';
import type { ClientStatus } from '../status/client-status.ts';
import type { Child } from './child.ts';
import { runCommandLine, statusOf } from './instance-fixtures.ts';
import { addRunCommand } from './run-command.ts';
import { runSystem } from './run-system.ts';

interface Given {
  readonly env?: Record<string, string>;
  readonly platform?: NodeJS.Platform;
  /** Of the instance that is there; an error is what it refuses with. */
  readonly status?: ClientStatus | PodsocksError | undefined;
  /** How the child ends. */
  readonly ends?: readonly [event: 'exit' | 'error', ...args: unknown[]];
  /** Files that can be executed. */
  readonly installed?: readonly string[];
}

const SERVER = ['-s', 'node.example', '-k', 'secret', '-m', 'aes-256-gcm'];

async function run(argv: readonly string[], given: Given = {}) {
  const { env = {}, platform = 'linux', ends = ['exit', 0, null], installed = [] } = given;
  const status = 'status' in given ? given.status : statusOf();
  const said: string[] = [];
  const started: ClientConfig[] = [];
  const spawned: { command: string; args: readonly string[]; env: Readonly<Record<string, string | undefined>> }[] = [];
  const written: string[] = [];
  let exitCode: number | undefined;
  const result = await runCommandLine(argv, (program, surroundings) =>
    addRunCommand(program, env, surroundings, {
      argv,
      loadLocal,
      loadClient,
      fetchStatus: async () => {
        if (status instanceof PodsocksError) throw status;
        return status;
      },
      start: async config => {
        said.push('start');
        started.push(config);
        return {
          addresses: [{ host: '127.0.0.1', port: 4321 }],
          drain: async () => {},
          close: async () => void said.push('close'),
        };
      },
      system: {
        platform,
        files: {
          stat: path => {
            if (!installed.includes(path)) throw new Error('ENOENT');
            return { mode: path.includes('setuid') ? 0o104755 : 0o100755, isFile: true };
          },
          isExecutable: path => !path.includes('plain'),
          read: () => Buffer.alloc(0),
          realPath: path => path,
        },
        writeSecret: text => {
          written.push(text);
          return { path: '/tmp/x/proxychains.conf', remove: () => void said.push('remove') };
        },
        spawn: (command, args, childEnv) => {
          said.push('spawn');
          spawned.push({ command, args, env: childEnv });
          const child = new EventEmitter();
          setImmediate(() => child.emit(...(ends as [string])));
          return child as unknown as Child;
        },
        isForeground: () => true,
        numberOf: runSystem.numberOf,
        dieOf: signal => void said.push(`die of ${signal}`),
      },
      exit: code => {
        exitCode = code;
      },
    }),
  );
  return { ...result, exitCode, said, started, spawned, written };
}

describe('ss-local run', () => {
  it('gives a program the variables for the instance that is there', async () => {
    const env = { PATH: '/bin', http_proxy: 'http://company:3128' };
    const { code, exitCode, out, err, said, spawned } = await run(['run', '--', 'curl', '-s', '-v', 'x'], { env });
    expect({ code, exitCode, out, err, said }).toEqual({ code: 0, exitCode: 0, out: '', err: '', said: ['spawn'] });
    expect(spawned).toMatchObject([{ command: 'curl', args: ['-s', '-v', 'x'] }]);
    expect(spawned[0]!.env).toMatchObject({
      PATH: '/bin',
      http_proxy: 'http://127.0.0.1:1080',
      ALL_PROXY: 'socks5h://127.0.0.1:1080',
      JAVA_TOOL_OPTIONS: expect.stringContaining('-Dhttp.proxyPort=1080'),
      MAVEN_OPTS: expect.stringContaining('-Dhttp.proxyPort=1080'),
      GIT_CONFIG_VALUE_0: 'socks5h://127.0.0.1:1080',
      npm_config_proxy: 'http://127.0.0.1:1080',
    });
  });

  it('leaves JAVA_TOOL_OPTIONS alone where that is wanted', async () => {
    const env = { JAVA_TOOL_OPTIONS: '-Xmx1g' };
    const { spawned } = await run(['run', '--no-java', '--', 'java'], { env });
    expect(spawned[0]!.env.JAVA_TOOL_OPTIONS).toBe('-Xmx1g');
    expect(spawned[0]!.env.MAVEN_OPTS).toContain('-Dhttp.proxyPort=1080');
  });

  it('starts one of its own where there is none, for as long as the program runs', async () => {
    const { code, said, started, spawned } = await run([...SERVER, 'run', '--', 'curl'], { status: undefined });
    expect({ code, said }).toEqual({ code: 0, said: ['start', 'spawn', 'close'] });
    expect(started).toMatchObject([
      { listen: [{ host: '127.0.0.1', port: 0 }], servers: [{ host: 'node.example', port: 8388 }] },
    ]);
    expect(spawned[0]!.env.http_proxy).toBe('http://127.0.0.1:4321');
  });

  it.each([
    ['asks for a password which it has not', 'ERR_DENIED'],
    ['is of another version', 'ERR_HEADER'],
  ] as const)('starts one of its own where the one that is there %s', async (_, errorCode) => {
    const status = new PodsocksError(errorCode, '127.0.0.1:1080 is of no use');
    const own = await run([...SERVER, 'run', '--', 'curl'], { status });
    expect(own).toMatchObject({ code: 0, err: '', said: ['start', 'spawn', 'close'] });
    const none = await run(['run', '--', 'curl'], { status });
    expect(none).toMatchObject({ code: 1, err: `ss-local: ${status.message}\n`, said: [] });
  });

  it('says so where the password that was given for it is wrong', async () => {
    const status = new PodsocksError('ERR_DENIED', '127.0.0.1:1080 asks for a user name and password');
    const env = { SS_SOCKS_USERNAME: 'ada', SS_SOCKS_PASSWORD: 'wrong' };
    const own = await run([...SERVER, 'run', '--', 'curl'], { status, env });
    expect(own).toMatchObject({ code: 1, err: `ss-local: ${status.message}\n`, said: [] });
  });

  it.each([
    ['the same server', ['-s', 'node.example'], ['spawn']],
    ['another server', ['-s', 'other.example'], ['start', 'spawn', 'close']],
    ['another port', ['-s', 'node.example', '-p', '99'], ['start', 'spawn', 'close']],
    [
      'one that it has, and one that it has not',
      ['-s', 'node.example', '-s', 'b.example'],
      ['start', 'spawn', 'close'],
    ],
    ['a forward', ['-s', 'node.example', '-L', '0:db:5432'], ['start', 'spawn', 'close']],
    ['other routes', ['-s', 'node.example', '--route', 'all'], ['start', 'spawn', 'close']],
    ['a log', ['-s', 'node.example', '-v'], ['spawn']],
    ['a list', ['-s', 'node.example', '--servers-file', 'x.json'], ['start', 'spawn', 'close']],
  ])('with %s than the instance that is there', async (_, flags, expected) => {
    const { said } = await run([...flags, '-k', 'secret', '-m', 'aes-256-gcm', 'run', '--', 'curl']);
    expect(said).toEqual(expected);
  });

  it('has no fixed ports but those of its command line', async () => {
    const argv = [...SERVER, '-b', '0.0.0.0', '-l', '1090', '-L', '5432:db:5432', 'run', '--', 'psql'];
    const { started } = await run(argv, { status: undefined });
    expect(started[0]).toMatchObject({
      listen: [{ host: '127.0.0.1', port: 0 }],
      forwards: [{ listen: { port: 5432 } }],
      maps: [],
    });
    expect(started[0]).not.toHaveProperty('lan');
  });

  it('leaves fixed ports of the file to the instance that runs all day', async () => {
    const path = join(tmpdir(), `podsocks-run-${process.pid}.json`);
    const file = {
      server: 'node.example',
      password: 'secret',
      method: 'aes-256-gcm',
      lan: true,
      lan_open: true,
      dns: '127.0.0.1:5354',
    };
    writeFileSync(path, JSON.stringify({ ...file, forwards: ['5432:db:5432'], maps: ['redis:6379'] }), { mode: 0o600 });
    try {
      const { started } = await run(['-c', path, 'run', '--', 'psql'], { status: undefined });
      expect(started[0]).toMatchObject({ listen: [{ host: '127.0.0.1', port: 0 }], forwards: [], maps: [] });
      for (const name of ['lan', 'dns']) expect(started[0]).not.toHaveProperty(name);
      const withDns = await run(['-c', path, '--dns', '127.0.0.1:0', 'run', '--', 'psql']);
      expect(withDns.started[0]).toHaveProperty('dns');
    } finally {
      rmSync(path);
    }
  });

  it('asks for a password what asks for one, its own instance as well', async () => {
    const env = { SS_SOCKS_USERNAME: 'ada', SS_SOCKS_PASSWORD: 'p@ss' };
    const there = await run(['run', '--', 'curl'], { env, status: statusOf({ asksForPassword: true }) });
    expect(there.spawned[0]!.env).toMatchObject({ http_proxy: 'http://ada:p%40ss@127.0.0.1:1080' });
    expect(there.spawned[0]!.env).not.toHaveProperty('JAVA_TOOL_OPTIONS');
    const own = await run([...SERVER, 'run', '--', 'curl'], { env, status: undefined });
    expect(own.spawned[0]!.env).toMatchObject({ http_proxy: 'http://ada:p%40ss@127.0.0.1:4321' });
    expect(own.started[0]!.socksUsers).toEqual([{ username: 'ada', password: 'p@ss' }]);
  });

  it('keeps what is secret to itself', async () => {
    const env = {
      SS_URL: 'ss://YWVzLTI1Ni1nY206c2VjcmV0@node.example:8388',
      SS_PASSWORD: '',
      SS_SOCKS_USERNAME: 'ada',
      SS_SOCKS_PASSWORD: 'p',
      SS_LOCAL_PORT: '1081',
    };
    const { code, err, spawned } = await run(['run', '--', 'curl'], { env, status: undefined });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(Object.keys(spawned[0]!.env).filter(name => name.startsWith('SS_'))).toEqual([
      'SS_SOCKS_USERNAME',
      'SS_LOCAL_PORT',
    ]);
  });

  it('says which server it needs', async () => {
    const { code, err, said } = await run(['run', '--', 'curl'], { status: undefined });
    expect({ code, said }).toEqual({ code: 2, said: [] });
    expect(err).toMatch(/^ss-local: no server; /);
  });

  it.each([
    [['run']],
    [['run', '--']],
    [['run', 'curl', 'x']],
    [['run', 'curl', '-s', 'x']],
    [['run', 'curl', '--', 'x']],
    [['run', 'curl', 'x', '--']],
  ])('wants two dashes ahead of the program: %j', async argv => {
    const { code, err, spawned } = await run(argv);
    expect({ code, spawned }).toEqual({ code: 2, spawned: [] });
    expect(err).toMatch(/^ss-local: run: .*ss-local run -- curl …\n$/);
  });

  it('says on Windows that PowerShell takes the dashes away', async () => {
    const { err } = await run(['run', 'curl', 'x'], { platform: 'win32' });
    expect(err).toMatch(/ss-local run -- curl … \(PowerShell keeps them for itself: '--' in quotes\)\n$/);
  });

  it('leaves all behind the dashes to the program', async () => {
    const rest = ['x', '--', '-k', 'run', '--force', '--', 'y'];
    const { spawned } = await run(['run', '--', 'curl', ...rest]);
    expect(spawned).toMatchObject([{ command: 'curl', args: rest }]);
  });
});

describe('the end of it', () => {
  const error = (code: string) => Object.assign(new Error(code), { code, syscall: 'spawn x' });

  it.each([
    [['exit', 0, null], 0, []],
    [['exit', 77, null], 77, []],
    [['exit', null, 'SIGTERM'], 143, ['die of SIGTERM']],
    [['exit', null, 'SIGINT'], 130, ['die of SIGINT']],
    [['exit', null, 'SIGKILL'], 137, ['die of SIGKILL']],
    // No core of this program beside the one of the child.
    [['exit', null, 'SIGSEGV'], 139, []],
    [['error', error('ENOENT')], 127, []],
    [['error', error('EACCES')], 126, []],
  ] as const)('is that of the program: %j', async (ends, expected, last) => {
    const { code, exitCode, said, err } = await run([...SERVER, 'run', '--', 'it'], { status: undefined, ends });
    expect({ code, exitCode, said }).toEqual({
      code: 0,
      exitCode: expected,
      said: ['start', 'spawn', 'close', ...last],
    });
    if (expected === 127) expect(err).toBe('ss-local: run: "it": there is no such program\n');
    else if (expected === 126) expect(err).toBe('ss-local: run: "it": cannot be run (EACCES)\n');
    else expect(err).toBe('');
  });

  it('on Windows has advice for scripts', async () => {
    const { err } = await run(['run', '--', 'npm'], { platform: 'win32', ends: ['error', error('ENOENT')] });
    expect(err).toContain('a .cmd file runs by: ss-local run -- cmd /c npm');
  });
});

describe('--force', () => {
  const installed = ['/bin/proxychains4', '/bin/psql', '/bin/setuid', '/bin/plain'];
  const given = { env: { PATH: '/bin' }, installed };

  it('wraps the program with proxychains, whose configuration goes with it', async () => {
    const { spawned, written, said, err } = await run(['run', '--force', '--', 'psql', '-h', 'db'], given);
    expect(spawned).toMatchObject([
      { command: '/bin/proxychains4', args: ['-q', '-f', '/tmp/x/proxychains.conf', 'psql', '-h', 'db'] },
    ]);
    expect(spawned[0]!.env.http_proxy).toBe('http://127.0.0.1:1080');
    expect({ said, err }).toEqual({ said: ['spawn', 'remove'], err: '' });
    expect(written).toEqual([
      `strict_chain
proxy_dns
remote_dns_subnet 224
tcp_read_time_out 30000
tcp_connect_time_out 8000
localnet 127.0.0.0/255.0.0.0
localnet ::1/128
localnet 127.0.0.1:1080/255.255.255.255
[ProxyList]
socks5 127.0.0.1 1080
`,
    ]);
  });

  it('gives proxychains user name and password, which have no blanks', async () => {
    const env = { PATH: '/bin', SS_SOCKS_USERNAME: 'ada', SS_SOCKS_PASSWORD: 'p@ss#' };
    const status = statusOf({ asksForPassword: true });
    const { written } = await run(['run', '--force', '--', 'psql'], { ...given, env, status });
    expect(written[0]).toMatch(/\nsocks5 127\.0\.0\.1 1080 ada p@ss#\n$/);
    const blank = { ...env, SS_SOCKS_PASSWORD: 'sec ret' };
    const { code, err, said } = await run(['run', '--force', '--', 'psql'], { ...given, env: blank, status });
    expect({ code, said }).toEqual({ code: 2, said: [] });
    expect(err).toBe('ss-local: --force: proxychains4 takes no password with blanks in it; give another\n');
  });

  it.each([
    ['there is no proxychains', { installed: ['/bin/psql'] }, /proxychains4 is not on PATH; install proxychains-ng/],
    ['the machine runs Windows', { platform: 'win32' as const }, /no proxychains-ng on Windows/],
    ['the proxy has no IPv4 address', { env: { PATH: '/bin', SS_LOCAL_ADDRESS: '::1' } }, /IPv4 address only, not ::1/],
  ])('is refused where %s', async (_, other, message) => {
    const { code, err, said } = await run(['run', '--force', '--', 'psql'], { ...given, ...other });
    expect({ code, said }).toEqual({ code: 2, said: [] });
    expect(err).toMatch(message);
  });

  it('closes what it has started when it is refused', async () => {
    const { code, said } = await run([...SERVER, 'run', '--force', '--', 'x'], { status: undefined });
    expect({ code, said }).toEqual({ code: 2, said: ['start', 'close'] });
  });

  it.each([
    ['nothing', 127],
    ['plain', 126],
  ])('finds out before proxychains does that %s cannot be run', async (program, expected) => {
    const { exitCode, spawned } = await run(['run', '--force', '--', program], given);
    expect({ exitCode, spawned }).toEqual({ exitCode: expected, spawned: [] });
  });

  it('warns of what is out of its reach, and runs it', async () => {
    const { err, spawned } = await run(['run', '--force', '--', 'setuid'], given);
    expect(err).toMatch(
      /^ss-local: run: --force: \/bin\/setuid runs with the rights of its owner, .*transparent\.md\n$/,
    );
    expect(spawned).toHaveLength(1);
  });
});

it('passes signals on while the program runs, and no longer', async () => {
  const child = Object.assign(new EventEmitter(), {
    killed: [] as string[],
    kill: (s: string) => child.killed.push(s),
  });
  let events!: EventEmitter;
  const spawned = new EventEmitter();
  const result = runCommandLine(['run', '--', 'it'], (program, surroundings) => {
    events = surroundings.events as EventEmitter;
    addRunCommand(program, {}, surroundings, {
      argv: ['run', '--', 'it'],
      loadLocal,
      loadClient,
      fetchStatus: async () => statusOf(),
      start: () => Promise.reject(new Error('started')),
      system: {
        ...runSystem,
        isForeground: () => false,
        spawn: () => {
          setImmediate(() => spawned.emit('done'));
          return child as unknown as Child;
        },
      },
      exit: () => {},
    });
  });
  await once(spawned, 'done');
  events.emit('SIGINT');
  events.emit('SIGTERM');
  expect(child.killed).toEqual(['SIGINT', 'SIGTERM']);
  child.emit('exit', 0, null);
  await result;
  expect(events.eventNames()).toEqual([]);
});
