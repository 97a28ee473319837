import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { ClientStatus } from '../status/client-status.ts';
import { startFrontend, startSpeaker } from './http-fixtures.ts';
import { indexPage } from './index-page.ts';
import { localPages } from './local-pages.ts';

const STATUS: ClientStatus = {
  ssLocal: { version: '0.1.0', pid: 7 },
  since: '2026-01-01T00:00:00.000Z',
  listen: ['127.0.0.1:1080'],
  asksForPassword: false,
  udp: 'off',
  route: { mode: 'auto', domains: ['cluster.local'], networks: ['10.96.0.0/12'] },
  servers: [
    {
      name: '<b>node</b>',
      address: 'node.example.com:8388',
      method: '2022-blake3-aes-256-gcm',
      health: 'unhealthy',
      active: true,
      reason: `it said "no" & 'never'<script>`,
      roundTrip: 12.4,
      kind: 'podsocks',
      connections: 1,
      total: 2,
      failed: 3,
    },
  ],
  connections: { open: 1, total: 2, failed: 3 },
  bytes: { up: 1, down: 2 },
  rates: { up: 0, down: 0 },
  forwards: [],
  maps: [],
  failures: [],
};

const USERS = [{ username: 'ada', password: 'x' }];
const ADA = `Basic ${Buffer.from('ada:x').toString('base64')}`;
const CLOSE = 'Connection: close\r\n';

const pages = localPages({ status: () => STATUS, pac: authority => `// ${authority}` });

function get(path: string, host: string, fields = '', method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}${CLOSE}\r\n`;
}

describe('a page', () => {
  it('is shown, to be kept by nobody and to be taken for nothing else', async () => {
    const under = await startFrontend({ pages });
    const own = `127.0.0.1:${under.port}`;
    const status = await under.exchange(get('/v1/status?x', own));
    expect(status.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    for (const field of [
      'Content-Type: application/json; charset=utf-8',
      'Cache-Control: no-store',
      'X-Content-Type-Options: nosniff',
      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
      'Cross-Origin-Resource-Policy: same-origin',
    ]) {
      expect(status.text).toContain(`\r\n${field}\r\n`);
    }
    expect(status.text).not.toMatch(/access-control/i);
    expect(JSON.parse(status.text.split('\r\n\r\n')[1]!)).toEqual(STATUS);
    const pac = await under.exchange(get('/proxy.pac', own));
    expect(pac.text).toContain('\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n');
    expect(pac.text).toMatch(new RegExp(`\r\n\r\n// ${own}$`));
    expect((await under.exchange(get('/', own))).text).toContain('\r\nContent-Type: text/html; charset=utf-8\r\n');
    expect(under.opened).toEqual([]);
  });

  it('is shown by HEAD without its body, and by nothing else', async () => {
    const under = await startFrontend({ pages });
    const own = `127.0.0.1:${under.port}`;
    const head = await under.exchange(get('/proxy.pac', own, '', 'HEAD'));
    expect(head.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nContent-Length: \d+\r\n[\s\S]*\r\n\r\n$/);
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'PUT']) {
      const { text } = await under.exchange(get('/proxy.pac', own, '', method));
      expect(text).toMatch(/^HTTP\/1\.1 405 [\s\S]*\r\nAllow: GET, HEAD\r\n/);
    }
    expect((await under.exchange(get('/none', own))).text).toMatch(
      /^HTTP\/1\.1 404 [\s\S]*\/, \/proxy\.pac, \/v1\/status/,
    );
    expect((await under.exchange(get('/__proto__', own))).text).toMatch(/^HTTP\/1\.1 404 /);
  });

  it.each([
    'localhost',
    'LocalHost:PORT',
    '[::1]:PORT',
    '192.0.2.1:9',
    hostname(),
    `${hostname().split('.')[0]}.local:PORT`,
  ])('is shown at %s', async host => {
    const under = await startFrontend({ pages });
    const { text } = await under.exchange(get('/v1/status', host.replace('PORT', String(under.port))));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    'evil.example',
    'evil.example:PORT',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'a@127.0.0.1',
    'x y',
    '127.0.0.1:0',
  ])('is not shown at %s, whose name may have come from elsewhere', async host => {
    const under = await startFrontend({ pages });
    for (const path of ['/', '/proxy.pac', '/v1/status']) {
      const { text } = await under.exchange(get(path, host.replace('PORT', String(under.port))));
      expect(text).toMatch(/^HTTP\/1\.1 421 /);
      expect(text).not.toContain('cluster.local');
    }
  });

  it('other than the one for everybody is not for other machines', async () => {
    const under = await startFrontend({ pages, isLocal: () => false });
    const own = `127.0.0.1:${under.port}`;
    expect((await under.exchange(get('/', own))).text).toMatch(/^HTTP\/1\.1 403 /);
    expect((await under.exchange(get('/v1/status', own))).text).toMatch(/^HTTP\/1\.1 403 /);
    expect((await under.exchange(get('/proxy.pac', own))).text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('other than the one for everybody asks for the password where there is one, and lets nobody in without', async () => {
    const under = await startFrontend({ pages, users: USERS });
    const own = `127.0.0.1:${under.port}`;
    expect((await under.exchange(get('/v1/status', own))).text).toMatch(
      /^HTTP\/1\.1 401 [\s\S]*\r\nWWW-Authenticate: Basic /,
    );
    expect((await under.exchange(get('/', own, `Authorization: ${ADA}x\r\n`))).text).toMatch(/^HTTP\/1\.1 401 /);
    expect((await under.exchange(get('/proxy.pac', own))).text).toMatch(/^HTTP\/1\.1 200 /);
    expect(under.admitted.size).toBe(0);
    for (const field of ['Authorization', 'Proxy-Authorization']) {
      expect((await under.exchange(get('/v1/status', own, `${field}: ${ADA}\r\n`))).text).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(under.admitted.size).toBe(2);
  });

  it('is shown to those who ask for it through the proxy itself', async () => {
    const under = await startFrontend({ pages });
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      const { text } = await under.exchange(get(`http://${host}:${under.port}/proxy.pac`, 'x'));
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*// ${host.replace(/[[\]]/g, '\\$&')}:${under.port}$`));
    }
    expect(under.opened).toEqual([]);
    const other = await startSpeaker('HTTP/1.1 204 No Content\r\n\r\n');
    expect((await under.exchange(get(`${other.url}/proxy.pac`, 'x'))).text).toMatch(/^HTTP\/1\.1 204 /);
  });

  it('that cannot be made ends the connection, and the fault is in the log', async () => {
    const broken = new Map([
      [
        '/',
        {
          content: () => {
            throw new TypeError('a fault');
          },
        },
      ],
    ]);
    const under = await startFrontend({ pages: broken });
    expect(await under.exchange(get('/', '127.0.0.1'))).toEqual({ text: '', error: 'ECONNRESET' });
    expect(under.log.join('')).toContain('a fault');
  });
});

describe('the index', () => {
  const page = indexPage(STATUS, '127.0.0.1:1080');

  it('has what is to be copied, and how the servers are', () => {
    for (const line of ['socks5h://127.0.0.1:1080', 'http://127.0.0.1:1080', 'http://127.0.0.1:1080/proxy.pac']) {
      expect(page).toContain(line);
    }
    expect(page).toContain('node.example.com:8388 (in use)');
    expect(page).toContain('12 ms');
    expect(page).toContain('auto: cluster.local, 10.96.0.0/12');
  });

  it('takes nothing for markup that is text, and is small', () => {
    expect(page).toContain('&lt;b&gt;node&lt;/b&gt;');
    expect(page).toContain('unhealthy: it said &quot;no&quot; &amp; &#39;never&#39;&lt;script&gt;');
    expect(page).not.toMatch(/<script|<b>/);
    expect(page.length).toBeLessThan(3000);
  });
});
