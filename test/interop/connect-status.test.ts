import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { expect, onTestFinished, test } from 'vitest';
import { askToConnect } from '../integration/connect-status-client.ts';
import { freePort } from '../support/free-port.ts';
import { startDns } from '../support/named-pair.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { sha256 } from '../support/pseudo-random.ts';
import { runCommand } from '../support/run-command.ts';
import {
  commandOf,
  type Implementation,
  PROGRAMS_OF,
  passwordFor,
  startClient,
  startServer,
} from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';
import { HTTP_BODY_SHA256, startHttp } from '../support/targets/http.ts';
import { tunnelThrough } from '../support/tunnel.ts';

/** Starts ends of a tunnel for one test. */
async function forThisTest<T extends ProgramRun>(end: Promise<T>): Promise<T> {
  const started = await end;
  onTestFinished(() => started.stop());
  return started;
}

const METHODS = ['2022-blake3-aes-256-gcm', 'aes-256-gcm'] as const;

for (const method of METHODS) {
  describeWith(['curl'], `curl through podsocks, ${method}, is told`, () => {
    const http = suiteResource(startHttp);

    /** A server that knows two names, and denies the address of one of them. */
    async function startTunnel(): Promise<number> {
      const dns = await startDns(zone({ 'web.test': ['127.0.0.1'], 'denied.test': ['127.66.0.1'] }));
      const [serverPort, socksPort] = [await freePort(), await freePort()];
      const both = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-k', passwordFor(method), '-m', method];
      const names = ['-d', `127.0.0.1:${dns.at.port}`, '--dns-search', 'test'];
      const policy = ['--allow', '127.0.0.0/8', '--deny', '127.66.0.0/16'];
      const server = commandOf('podsocks', 'server');
      await forThisTest(startProgram('server', [...server, ...both, ...names, ...policy], serverPort));
      const client = commandOf('podsocks', 'client');
      const local = await forThisTest(
        startProgram('client', [...client, ...both, '-l', `${socksPort}`, '--route', 'all'], socksPort),
      );
      await expect.poll(local.output, { timeout: 10_000 }).toContain('the server is podsocks');
      return socksPort;
    }

    const curl = (option: string, socksPort: number, url: string) =>
      runCommand(pathOf('curl'), ['-q', '-sS', '--fail', '--max-time', '20', option, `127.0.0.1:${socksPort}`, url]);

    test('what became of its connect', async () => {
      const { port } = await http();
      const socksPort = await startTunnel();
      const closed = await freePort();
      const fetched = (url: string) => curl('--socks5-hostname', socksPort, url).then(sha256);
      expect(await fetched(`http://web.test:${port}/`)).toBe(HTTP_BODY_SHA256);
      // CURLE_PROXY, with the reply of RFC 1928.
      await expect(fetched(`http://web:${closed}/`)).rejects.toThrow(/ended with 97 .*\(5\)/s);
      await expect(fetched(`http://nothing.test:${port}/`)).rejects.toThrow(/ended with 97 .*\(4\)/s);
      await expect(fetched(`http://denied.test:${port}/`)).rejects.toThrow(/ended with 97 .*\(2\)/s);
      await expect(fetched(`http://192.0.2.1:${port}/`)).rejects.toThrow(/ended with 97 .*\(2\)/s);
      const bySocks4 = curl('--socks4a', socksPort, `http://nothing.test:${port}/`);
      await expect(bySocks4).rejects.toThrow(/ended with 97 .*request rejected or failed/s);
    });

    test('what the information host says', async () => {
      const answer = await curl('--socks5-hostname', await startTunnel(), 'http://info.podsocks.internal/v1/info');
      expect(JSON.parse(String(answer))).toMatchObject({
        user: 'default',
        features: ['connect-status', 'udp-over-tcp'],
        cluster: { search: ['test'], allowed: ['127.0.0.0/8'] },
      });
    });
  });
}

const PLAIN: readonly (readonly [Implementation, string])[] = [
  ['libev', 'aes-256-gcm'],
  ['rust', 'aes-256-gcm'],
  ['rust', '2022-blake3-aes-256-gcm'],
  ['sing-box', 'aes-256-gcm'],
  ['sing-box', '2022-blake3-aes-256-gcm'],
];

for (const [impl, method] of PLAIN) {
  describeWith(PROGRAMS_OF[impl], `a server that is ${impl}, ${method},`, () => {
    const echo = suiteResource(() => startEcho());

    test('is found to be plain by one probe, and serves before and after it', async () => {
      const password = passwordFor(method);
      const server = await forThisTest(startServer({ impl, method, password }));
      const client = await forThisTest(startClient({ impl: 'podsocks', method, password, serverPort: server.port }));
      await tunnelThrough(client.port, [client, server]).use(async () => {
        const exchange = async () => {
          const { port } = await echo();
          const { reply, bound, connection } = await askToConnect(client.port, { host: '127.0.0.1', port });
          expect({ reply, bound }).toEqual({ reply: 0, bound: '0.0.0.0:0' });
          await connection.send('hello');
          expect(String(await connection.take(5))).toBe('hello');
        };
        await exchange();
        await expect.poll(client.output, { timeout: 10_000 }).toContain('plain Shadowsocks server');
        for (let count = 0; count < 3; count++) await exchange();
      });
    });
  });
}
