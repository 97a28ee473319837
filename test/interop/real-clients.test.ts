import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { SocksClient, type SocksProxy } from 'socks';
import { describe, expect, test } from 'vitest';
import { Connection } from '../support/connection.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { sha256 } from '../support/pseudo-random.ts';
import { runCommand } from '../support/run-command.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startTappedTunnel } from '../support/tapped-tunnel.ts';
import { startEcho } from '../support/targets/echo.ts';
import { HTTP_BODY_BYTES, HTTP_BODY_SHA256, startHttp } from '../support/targets/http.ts';

const JAVA_SOURCE = fileURLToPath(new URL('java/ThroughSocks.java', import.meta.url));
const USER = { username: 'ada', password: 'pass word' };

const open = suiteResource(() => startTappedTunnel(DEFAULT_METHOD));
const locked = suiteResource(() => startTappedTunnel(DEFAULT_METHOD, { socks_users: [USER] }));
const http = suiteResource(startHttp);
const echo = suiteResource(() => startEcho());

/** Runs a program that prints the HTTP target's body, and finds that it got it all, and got it through the tunnel. */
async function expectBody(tunnel: typeof open, printBody: (socksPort: number) => Promise<Buffer>): Promise<void> {
  const { socksPort, use, received } = await tunnel();
  await use(async () => {
    const before = received();
    expect(sha256(await printBody(socksPort))).toBe(HTTP_BODY_SHA256);
    expect(received() - before).toBeGreaterThan(HTTP_BODY_BYTES);
  });
}

describeWith(['curl'], 'curl', () => {
  const curl = (...args: string[]) =>
    runCommand(pathOf('curl'), ['-q', '--silent', '--show-error', '--fail', '--max-time', '30', ...args]);

  for (const [option, host] of [
    ['--socks5-hostname', 'localhost'],
    ['--socks5-hostname', '127.0.0.1'],
    ['--socks5', '127.0.0.1'],
    ['--socks4a', 'localhost'],
    ['--socks4', '127.0.0.1'],
  ] as const) {
    test(`${option} to ${host}`, async () => {
      const { port } = await http();
      await expectBody(open, socksPort => curl(option, `127.0.0.1:${socksPort}`, `http://${host}:${port}/`));
    });
  }

  const asUser = (password: string, socksPort: number) =>
    `socks5h://${USER.username}:${encodeURIComponent(password)}@127.0.0.1:${socksPort}`;

  test('with user name and password', async () => {
    const { port } = await http();
    await expectBody(locked, socksPort => curl('-x', asUser(USER.password, socksPort), `http://127.0.0.1:${port}/`));
  });

  async function expectRefused(proxy: (socksPort: number) => string): Promise<void> {
    const { port } = await http();
    const { socksPort, use } = await locked();
    await use(async () => {
      const result = curl('-x', proxy(socksPort), `http://127.0.0.1:${port}/`);
      // CURLE_PROXY
      await expect(result.then(body => `${body.length} bytes`)).rejects.toThrow('ended with 97');
    });
  }

  test('with a wrong password is refused', () => expectRefused(socksPort => asUser('wrong', socksPort)));
  test('without the password is refused', () => expectRefused(socksPort => `socks5h://127.0.0.1:${socksPort}`));
});

describe('the npm package socks', () => {
  async function expectEcho(tunnel: typeof open, host: string, proxy: Partial<SocksProxy> & Pick<SocksProxy, 'type'>) {
    const { port } = await echo();
    const { socksPort, use } = await tunnel();
    await use(async () => {
      const { socket } = await SocksClient.createConnection({
        command: 'connect',
        destination: { host, port },
        proxy: { host: '127.0.0.1', port: socksPort, ...proxy },
      });
      const connection = new Connection(socket);
      try {
        await connection.send('from npm');
        expect(String(await connection.take('from npm'.length))).toBe('from npm');
      } finally {
        connection.destroy();
      }
    });
  }

  for (const type of [4, 5] as const) {
    for (const host of ['127.0.0.1', 'localhost']) {
      test(`version ${type} to ${host}`, () => expectEcho(open, host, { type }));
    }
  }

  test('with user name and password', () =>
    expectEcho(locked, '127.0.0.1', { type: 5, userId: USER.username, password: USER.password }));
});

describeWith(['java'], 'a JVM', () => {
  const java = (socksPort: number, ...args: string[]) =>
    runCommand(pathOf('java'), [
      '-DsocksProxyHost=127.0.0.1',
      `-DsocksProxyPort=${socksPort}`,
      // By default it goes to localhost, 127.* and [::1] directly; the second is what HttpURLConnection looks at.
      '-DsocksNonProxyHosts=',
      '-Dhttp.nonProxyHosts=',
      ...args,
    ]);

  test('java.net.Socket', async () => {
    const { port } = await echo();
    const { socksPort, use, received } = await open();
    await use(async () => {
      const before = received();
      expect(String(await java(socksPort, JAVA_SOURCE, 'echo', '127.0.0.1', `${port}`))).toBe('from the JVM');
      expect(received()).toBeGreaterThan(before);
    });
  });

  async function expectHttp(tunnel: typeof open, ...login: readonly string[]): Promise<void> {
    const { port } = await http();
    const { socksPort, use, received } = await tunnel();
    await use(async () => {
      const before = received();
      const digest = await java(socksPort, JAVA_SOURCE, 'http', `http://127.0.0.1:${port}/`, ...login);
      expect(String(digest)).toBe(HTTP_BODY_SHA256);
      expect(received() - before).toBeGreaterThan(HTTP_BODY_BYTES);
    });
  }

  test('HttpURLConnection', () => expectHttp(open));
  test('HttpURLConnection with user name and password', () => expectHttp(locked, USER.username, USER.password));
});

describeWith(['proxychains4', 'curl'], 'proxychains', () => {
  for (const type of ['socks4', 'socks5']) test(`around curl, ${type}`, () => expectChained(type));

  async function expectChained(type: string): Promise<void> {
    const { port } = await http();
    const directory = await mkdtemp(join(tmpdir(), 'podsocks-proxychains-'));
    try {
      await expectBody(open, async socksPort => {
        const config = join(directory, 'proxychains.conf');
        await writeFile(config, `strict_chain\nproxy_dns\n[ProxyList]\n${type} 127.0.0.1 ${socksPort}\n`);
        const command = [pathOf('curl'), '-q', '--silent', '--show-error', '--fail', '--max-time', '30'];
        return runCommand(pathOf('proxychains4'), ['-q', '-f', config, ...command, `http://127.0.0.1:${port}/`]);
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
});
