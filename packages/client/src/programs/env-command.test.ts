import { describe, expect, it } from 'vitest';
import { loadLocal } from '../config.ts';
import type { ClientStatus } from '../status/client-status.ts';
import { addEnvCommand } from './env-command.ts';
import { runCommandLine, statusOf } from './instance-fixtures.ts';

interface Given {
  readonly env?: Record<string, string>;
  readonly platform?: NodeJS.Platform;
  readonly status?: ClientStatus | undefined;
}

async function run(argv: readonly string[], { env = {}, platform = 'linux', ...given }: Given = {}) {
  const asked: unknown[] = [];
  const status = 'status' in given ? given.status : statusOf();
  const fetchStatus = async (...args: unknown[]) => {
    asked.push(args);
    return status;
  };
  const result = await runCommandLine(argv, (program, surroundings) =>
    addEnvCommand(program, env, surroundings, { platform, loadLocal, fetchStatus }),
  );
  return { ...result, asked };
}

const LOGIN = { SS_SOCKS_USERNAME: 'ada', SS_SOCKS_PASSWORD: 'p@ss' };

describe('ss-local env', () => {
  it('prints what a shell evaluates, and nothing else', async () => {
    const { code, out, err, asked } = await run(['env', '--shell', 'bash']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(`# ss-local at 127.0.0.1:1080; eval "$(ss-local env)"
export ALL_PROXY='socks5h://127.0.0.1:1080'
export all_proxy='socks5h://127.0.0.1:1080'
export HTTP_PROXY='http://127.0.0.1:1080'
export http_proxy='http://127.0.0.1:1080'
export HTTPS_PROXY='http://127.0.0.1:1080'
export https_proxy='http://127.0.0.1:1080'
export NO_PROXY='localhost,127.0.0.1,127.0.0.0/8,::1'
export no_proxy='localhost,127.0.0.1,127.0.0.0/8,::1'
export NODE_USE_ENV_PROXY='1'
`);
    expect(asked).toEqual([[{ host: '127.0.0.1', port: 1080 }, undefined]]);
  });

  it('is for the instance that the flags mean, whatever stands first', async () => {
    for (const argv of [
      ['-l', '1081', 'env'],
      ['env', '-l', '1081'],
    ]) {
      expect((await run(argv)).out).toContain("http_proxy='http://127.0.0.1:1081'");
    }
  });

  it('is in the words of the shell that is used', async () => {
    expect((await run(['env'], { env: { SHELL: '/usr/bin/fish' } })).out).toContain('set -gx http_proxy ');
    expect((await run(['env'], { platform: 'win32' })).out).toContain('$env:http_proxy = ');
    const { out } = await run(['env', '--shell', 'cmd']);
    expect(out).toMatch(/^REM .*\nset "ALL_PROXY=/);
    expect(out).not.toContain('http_proxy');
  });

  it('has more for who asks for it, and takes it away again', async () => {
    const argv = ['env', '--java', '--maven', '--gradle', '--git', '--npm', '--pip'];
    const { out } = await run(argv);
    const names = [...out.matchAll(/^export (\w+)=/gm)].map(([, name]) => name);
    expect(names.slice(9)).toEqual([
      ...['JAVA_TOOL_OPTIONS', 'MAVEN_OPTS', 'GRADLE_OPTS', 'GIT_CONFIG_COUNT', 'GIT_CONFIG_KEY_0'],
      ...['GIT_CONFIG_VALUE_0', 'npm_config_proxy', 'npm_config_https_proxy', 'YARN_HTTP_PROXY', 'YARN_HTTPS_PROXY'],
      'PIP_PROXY',
    ]);
    const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.proxy', GIT_CONFIG_VALUE_0: 'x' };
    const away = await run([...argv, '--unset'], { env });
    expect([...away.out.matchAll(/^unset (\w+)$/gm)].map(([, name]) => name).sort()).toEqual(names.sort());
    expect(away.asked).toEqual([]);
  });

  it('says on standard error that nobody is there', async () => {
    const { code, out, err } = await run(['env'], { status: undefined });
    expect(code).toBe(0);
    expect(out).toContain('export http_proxy=');
    expect(err).toBe('ss-local: env: no ss-local answers at 127.0.0.1:1080 yet; start it, or say which: -b, -l, -c\n');
  });

  it('has user name and password only where they are asked for, and says that they are secrets', async () => {
    const asks = await run(['env'], { env: LOGIN, status: statusOf({ asksForPassword: true }) });
    expect(asks.out).toContain("http_proxy='http://ada:p%40ss@127.0.0.1:1080'");
    expect(asks.out).toContain('# The user name and password in these values are secrets.\n');
    expect(asks.asked).toEqual([
      [
        { host: '127.0.0.1', port: 1080 },
        { username: 'ada', password: 'p@ss' },
      ],
    ]);
    expect((await run(['env'], { env: LOGIN })).out).not.toContain('ada');
    // It will ask, once it is there.
    expect((await run(['env'], { env: LOGIN, status: undefined })).out).toContain('ada:p%40ss@');
  });

  it('says that a JVM cannot give a password', async () => {
    const given = { env: LOGIN, status: statusOf({ asksForPassword: true }) };
    const { out, err } = await run(['env', '--java', '--pip'], given);
    expect(out).toContain('unset JAVA_TOOL_OPTIONS\n');
    expect(err).toMatch(/^ss-local: env: java: a JVM has no setting for a password of a proxy; .*\n$/);
    expect(err).not.toContain('p@ss');
  });

  it('refuses shells that it does not know', async () => {
    const { code, out, err } = await run(['env', '--shell', 'csh']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('--shell: "csh" is not one of bash, zsh, fish');
  });
});
