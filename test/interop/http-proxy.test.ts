import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { describe, expect, test } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { sha256 } from '../support/pseudo-random.ts';
import { runCommand } from '../support/run-command.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startTappedTunnel } from '../support/tapped-tunnel.ts';
import { HTTP_BODY_BYTES, HTTP_BODY_SHA256, startHttp } from '../support/targets/http.ts';

// ss-local as an HTTP proxy of programs of others, on its one port.

const JAVA_SOURCE = fileURLToPath(new URL('java/ThroughHttp.java', import.meta.url));
const PYTHON_SOURCE = fileURLToPath(new URL('python/through_http.py', import.meta.url));
const USER = { username: 'ada', password: 'pass word' };
const USER_INFO = `${USER.username}:${encodeURIComponent(USER.password)}@`;

const open = suiteResource(() => startTappedTunnel(DEFAULT_METHOD, { route: 'all' }));
const locked = suiteResource(() => startTappedTunnel(DEFAULT_METHOD, { route: 'all', socks_users: [USER] }));
const http = suiteResource(startHttp);

/** Runs a program that fetches the HTTP target's body, `times` of it, and finds that it got it all, and by the tunnel. */
async function expectBody(
  tunnel: typeof open,
  fetchDigest: (proxyPort: number, url: string) => Promise<string>,
  { host = '127.0.0.1', times = 1 } = {},
): Promise<void> {
  const { socksPort, use, received } = await tunnel();
  const { port } = await http();
  await use(async () => {
    const before = received();
    expect(await fetchDigest(socksPort, `http://${host}:${port}/`)).toBe(HTTP_BODY_SHA256);
    expect(received() - before).toBeGreaterThan(HTTP_BODY_BYTES * times);
  });
}

describeWith(['curl'], 'curl', () => {
  const curl = (...args: string[]) =>
    runCommand(pathOf('curl'), ['-q', '--silent', '--show-error', '--fail', '--max-time', '30', ...args]);
  const digest = async (...args: string[]) => sha256(await curl(...args));
  const at = (port: number, userInfo = '') => `http://${userInfo}127.0.0.1:${port}`;

  for (const host of ['127.0.0.1', 'localhost']) {
    test(`asks for a URL of ${host}`, () => expectBody(open, (port, url) => digest('-x', at(port), url), { host }));
    test(`by CONNECT to ${host}`, () => expectBody(open, (port, url) => digest('-p', '-x', at(port), url), { host }));
  }

  test('as HTTP/1.0', () => expectBody(open, (port, url) => digest('--proxy1.0', at(port), '--http1.0', url)));
  test('that tries to go on as HTTP/2', () => expectBody(open, (port, url) => digest('--http2', '-x', at(port), url)));

  test('keeps its connection for the next URL', () =>
    expectBody(
      open,
      async (port, url) => {
        const report = await curl(
          '-v',
          '-x',
          at(port),
          ...['a', 'b'].flatMap(path => ['-o', '/dev/null', url + path]),
          '-w',
          '%{num_connects}',
        );
        expect(String(report)).toBe('10');
        return digest('-x', at(port), url);
      },
      { times: 3 },
    ));

  test('sends a long body of each kind, and has its answer before the end of it', () =>
    expectBody(open, async (port, url) => {
      const file = ['--data-binary', `@${process.execPath}`];
      expect(await digest('-x', at(port), '--max-time', '60', ...file, url)).toBe(HTTP_BODY_SHA256);
      return digest(
        '-x',
        at(port),
        '--max-time',
        '60',
        '-H',
        'Transfer-Encoding: chunked',
        '-H',
        'Expect:',
        ...file,
        url,
      );
    }));

  for (const how of [[], ['-p'], ['--proxy-anyauth'], ['-p', '--proxy-anyauth']]) {
    test(`with user name and password: ${how.join(' ')}`, () =>
      expectBody(locked, (port, url) => digest(...how, '-x', at(port, USER_INFO), url)));
  }

  for (const how of [[], ['-p']]) {
    test(`is refused with a wrong password, and without: ${how.join(' ')}`, async () => {
      const { socksPort } = await locked();
      const { port } = await http();
      for (const userInfo of ['', 'ada:wrong@']) {
        const refused = curl(...how, '-x', at(socksPort, userInfo), `http://127.0.0.1:${port}/`);
        await expect(refused.then(String)).rejects.toThrow(/ended with (22|56)/);
      }
    });
  }

  test('is told what became of a request that came to nothing', async () => {
    const { socksPort } = await open();
    const status = async (...args: string[]) =>
      String(await runCommand(pathOf('curl'), ['-q', '-s', '-x', at(socksPort), '-w', '%{http_code}', ...args]));
    expect(await status('http://127.0.0.1:1/')).toMatch(/connection refused\n502$/);
    expect(await status('http://no-such-name.invalid/')).toMatch(/no such name, or host unreachable\n502$/);
    await expect(status('-p', 'http://127.0.0.1:1/')).rejects.toThrow('ended with 56');
  });

  test('sees the pages of ss-local', async () => {
    const { socksPort } = await open();
    expect(String(await curl(`${at(socksPort)}/proxy.pac`))).toContain(`PROXY 127.0.0.1:${socksPort}`);
    expect(String(await curl(`${at(socksPort)}/`))).toContain(`socks5h://127.0.0.1:${socksPort}`);
    expect(JSON.parse(String(await curl(`${at(socksPort)}/v1/status`)))).toMatchObject({ asksForPassword: false });
    await expect(curl('-H', 'Host: evil.example', `${at(socksPort)}/`)).rejects.toThrow('421');
  });
});

describeWith(['java'], 'a JVM', () => {
  const java = async (...args: string[]) => String(await runCommand(pathOf('java'), args));
  const properties = (port: number) => [
    '-Dhttp.proxyHost=127.0.0.1',
    `-Dhttp.proxyPort=${port}`,
    '-Dhttp.nonProxyHosts=',
  ];

  for (const [title, tunnel, login] of [
    ['', open, []],
    [' with user name and password', locked, [USER.username, USER.password]],
  ] as const) {
    test(`HttpURLConnection${title}`, () =>
      expectBody(tunnel, (port, url) => java(...properties(port), JAVA_SOURCE, 'url', url, ...login)));
    test(`HttpClient${title}`, () =>
      expectBody(tunnel, (port, url) => java(JAVA_SOURCE, 'client', `${port}`, url, ...login)));
  }
});

describeWith(['python3 with PySocks'], 'Python', () => {
  const python = async (...args: string[]) =>
    String(await runCommand(pathOf('python3 with PySocks'), [PYTHON_SOURCE, ...args]));

  test('urllib', () => expectBody(open, (port, url) => python('url', `http://127.0.0.1:${port}`, url)));
  test('urllib with user name and password', () =>
    expectBody(locked, (port, url) => python('url', `http://${USER_INFO}127.0.0.1:${port}`, url)));
  test('http.client by CONNECT', () =>
    expectBody(open, (port, url) => python('connect', `${port}`, '127.0.0.1', new URL(url).port)));
});

describe('Node', () => {
  test('asks for a URL', () =>
    expectBody(
      open,
      (port, url) =>
        new Promise((resolve, reject) => {
          request({ host: '127.0.0.1', port, path: url, agent: false }, async response =>
            resolve(sha256(Buffer.concat(await response.toArray()))),
          )
            .on('error', reject)
            .end();
        }),
    ));
});
