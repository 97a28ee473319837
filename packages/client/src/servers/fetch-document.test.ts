import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startWebServer } from './document-fixtures.ts';
import { formatDocumentUrl, parseDocumentUrl } from './document-url.ts';
import { fetchDocument } from './fetch-document.ts';
import { startHttpProxy, startSocksProxy } from './upstream/proxy-fixtures.ts';

const fetch = (url: string, more: Partial<Parameters<typeof fetchDocument>[1]> = {}) =>
  fetchDocument(parseDocumentUrl(url), {
    ...{ etag: undefined, upstream: undefined, signal: new AbortController().signal },
    ...more,
  });

describe('the URL of a list of servers', () => {
  it.each(['https://example.com/a?token=b', 'http://127.0.0.1:8080/x', 'http://localhost/', 'http://[::1]:1/'])(
    'may be %s',
    url => void expect(parseDocumentUrl(url).href).toBe(url),
  );

  it.each([
    ['http://example.com/hunter2', 'has to begin with https://'],
    ['http://127.0.0.1.example.com/hunter2', 'has to begin with https://'],
    ['ssconf://example.com/hunter2', 'give the same with https://'],
    ['file:///hunter2', 'has to begin with https://'],
    ['hunter2', 'is not a URL'],
  ])('may not be %s', (url, complaint) => {
    expect(() => parseDocumentUrl(url)).toThrow(complaint);
    expect(() => parseDocumentUrl(url)).not.toThrow('hunter2');
  });

  it('is printed without what only its owner knows', () => {
    const url = parseDocumentUrl('https://ada:hunter2@example.com:8443/hunter2?hunter2#hunter2');
    expect(formatDocumentUrl(url)).toBe('https://example.com:8443/…');
  });
});

/** With a certificate of its own. @returns its URL, without a path. */
async function startSecureServer(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

describe('what it gives', () => {
  const tell = (status: number, headers: Record<string, string> = {}, body = '') =>
    startWebServer((_, response) => void response.writeHead(status, headers).end(body));

  it('is a text, and later whether it is another one', async () => {
    const url = await startWebServer(({ headers }, response) => {
      if (headers['if-none-match'] === '"1"') response.writeHead(304).end();
      else response.setHeader('ETag', '"1"').end('text');
    });
    expect(await fetch(url)).toEqual({ text: 'text', etag: '"1"' });
    expect(await fetch(url, { etag: '"1"' })).toBeUndefined();
  });

  it('may be elsewhere', async () => {
    const there = await tell(200, {}, 'text');
    const here = await tell(302, { Location: `${there}/x` });
    expect(await fetch(here)).toMatchObject({ text: 'text' });
  });

  it.each<[string, number, Record<string, string>, string, string]>([
    ['not found', 404, {}, '', 'HTTP status 404'],
    ['sent round in circles', 302, { Location: '/hunter2' }, '', 'more than 3 redirections'],
    ['sent to the open', 302, { Location: 'http://192.0.2.1/hunter2' }, '', 'not https'],
    ['sent nowhere', 302, { Location: 'http://[hunter2' }, '', 'no URL'],
    ['sent without a place', 302, {}, '', 'HTTP status 302'],
    ['too long', 200, {}, 'x'.repeat(1_100_000), 'more than 1048576 bytes'],
  ])('is refused: %s', async (_, status, headers, body, complaint) => {
    const url = await tell(status, headers, body);
    const error = await fetch(`${url}/hunter2`).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'ERR_HEADER', message: expect.stringContaining(complaint) });
    expect((error as Error).message).not.toContain('hunter2');
  });

  it('is refused where the server turns to another protocol', async () => {
    const url = await startWebServer(({ socket }) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    });
    await expect(fetch(url)).rejects.toMatchObject({
      code: 'ERR_HEADER',
      message: expect.stringContaining('HTTP status 101'),
    });
  });

  it('is missed where nobody listens, or somebody who speaks no HTTP', async () => {
    await expect(fetch('http://127.0.0.1:1/hunter2')).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: 'http://127.0.0.1:1/…: cannot be fetched (ECONNREFUSED)',
    });
    const url = await startWebServer(({ socket }) => void socket.end('hunter2\r\n\r\n'));
    await expect(fetch(url)).rejects.toThrow('cannot be fetched (HPE_');
  });

  it('is not waited for when ss-local ends', async () => {
    const closing = new AbortController();
    const url = await startWebServer(() => closing.abort());
    await expect(fetch(url, { signal: closing.signal })).rejects.toMatchObject({ code: 'ERR_DIAL' });
  });

  it.each([
    ['http', startHttpProxy],
    ['socks5', startSocksProxy],
  ] as const)('comes by the %s proxy, too, unless it is on this machine', async (kind, start) => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    const warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
    onTestFinished(() => warnings.mockRestore());
    const { port } = new URL(await startSecureServer((_, response) => void response.end('text')));
    const proxy = await start({ hosts: { 'list.example': '127.0.0.1', '192.0.2.1': '127.0.0.1' } });
    const upstream = { kind, host: '127.0.0.1', port: proxy.port };
    const places = [`list.example:${port}`, `192.0.2.1:${port}`];
    for (const place of places) expect(await fetch(`https://${place}`, { upstream })).toMatchObject({ text: 'text' });
    expect(await fetch(`https://localhost:${port}`, { upstream })).toMatchObject({ text: 'text' });
    expect(await fetch(await tell(200, {}, 'text'), { upstream })).toMatchObject({ text: 'text' });
    expect(proxy.asked).toEqual(places);
    expect(warnings.mock.calls.filter(call => (call as readonly unknown[]).includes('DEP0123'))).toEqual([]);
    await expect.poll(proxy.open).toBe(0);
  });

  it('comes by TLS of somebody who can be trusted only, also by a proxy', async () => {
    const url = `${await startSecureServer((_, response) => void response.end('text'))}/hunter2`;
    const proxy = await startHttpProxy({ hosts: { 'list.example': '127.0.0.1' } });
    const upstream = { kind: 'http', host: '127.0.0.1', port: proxy.port } as const;
    for (const place of [url, url.replace('localhost', 'list.example')]) {
      const error = await fetch(place, { upstream }).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        code: 'ERR_DIAL',
        message: expect.stringContaining('(DEPTH_ZERO_SELF_SIGNED_CERT); '),
      });
      expect((error as Error).message).not.toContain('hunter2');
    }
    await expect.poll(proxy.open).toBe(0);
  });

  it('is not looked for on this machine because somebody out there says so', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    let asked = 0;
    const ours = await startWebServer((_, response) => {
      asked++;
      response.end('text');
    });
    const elsewhere = await startSecureServer((_, response) => void response.end('text'));
    const url = await startSecureServer(({ url = '' }, response) => {
      response.writeHead(302, { Location: url === '/ours' ? `${ours}/stop` : elsewhere }).end();
    });
    expect(await fetch(`${url}/elsewhere`)).toMatchObject({ text: 'text' });
    await expect(fetch(`${url}/ours`)).rejects.toMatchObject({
      code: 'ERR_HEADER',
      message: expect.stringContaining('not https'),
    });
    const { port } = new URL(url);
    const proxy = await startHttpProxy({ hosts: { 'list.example': '127.0.0.1' } });
    const upstream = { kind: 'http', host: '127.0.0.1', port: proxy.port } as const;
    for (const path of ['ours', 'elsewhere']) {
      await expect(fetch(`https://list.example:${port}/${path}`, { upstream })).rejects.toMatchObject({
        code: 'ERR_HEADER',
        message: expect.stringContaining('a redirection to what is on this machine'),
      });
    }
    expect(asked).toBe(0);
  });
});
