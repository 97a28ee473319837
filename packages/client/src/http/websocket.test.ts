import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ConnectionDuplex } from '@podsocks/shared/net/connection-duplex';
import { dial } from '@podsocks/shared/net/dial';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startFrontend, startOrigin, startRawOrigin, startSpeaker } from './http-fixtures.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const ask = (url: string, fields = UPGRADE, method = 'GET') =>
  `${method} ${url}/ws HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

/** Accepts, greets, and sends back what comes. */
async function startEcho() {
  const origin = await startOrigin((_request, response) => response.end('plain'));
  const upgraded: Duplex[] = [];
  origin.server.on('upgrade', (request, stream) => {
    upgraded.push(stream);
    stream.on('error', () => {});
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhello `,
    );
    stream.pipe(stream);
  });
  return { ...origin, upgraded };
}

describe('WebSocket', () => {
  it('goes through, with what either side sends behind its head', async () => {
    const under = await startFrontend();
    const { url } = await startEcho();
    const client = await under.client(`${ask(url)}early `);
    await client.got(/early $/);
    client.socket.write(Buffer.from([0, 1, 0xff]));
    await client.got(/\u00ff$/);
    expect(client.text()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
        'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello early \u0000\u0001\u00ff',
    );
    client.socket.end('bye');
    expect(await client.over).toBeUndefined();
    expect(client.text()).toMatch(/bye$/);
  });

  it('carries much both ways', async () => {
    const under = await startFrontend();
    const { url } = await startEcho();
    const client = await under.client(ask(url));
    await client.got(/hello /);
    const before = client.text().length;
    const sent = Buffer.alloc(4 * 1024 * 1024, 7);
    client.socket.end(sent);
    await client.over;
    expect(client.text().length - before).toBe(sent.length);
  });

  it('loses nothing of one direction when the other has ended', async () => {
    const under = await startFrontend();
    let received = '';
    const origin = await startOrigin();
    origin.server.on('upgrade', (_request, stream) => {
      stream.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      stream.on('data', chunk => {
        received += chunk;
      });
    });
    const client = await under.client(ask(origin.url));
    expect(await client.over).toBeUndefined();
    client.socket.end('said all the same');
    await expect.poll(() => received).toBe('said all the same');
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
  });

  it('ends on one side with the other', async () => {
    const under = await startFrontend();
    const { url, upgraded } = await startEcho();
    const first = await under.client(ask(url));
    await first.got(/hello /);
    const gone = once(upgraded[0]!, 'close').catch(() => {});
    first.socket.resetAndDestroy();
    await gone;
    const second = await under.client(ask(url));
    await second.got(/hello /);
    upgraded[1]!.destroy(new Error('gone'));
    await second.over;
    second.socket.end();
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
  });

  it.each([
    ['HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnone', /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*none$/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n', /1\r\na\r\n0\r\n\r\n$/],
    [`HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'a'.repeat(3_000_000)}`, /a{1000}$/],
    ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /^HTTP\/1\.1 502 /],
    ['', /^HTTP\/1\.1 502 /],
  ])('that is refused is an answer like others, and the last', async (answer, expected) => {
    const under = await startFrontend();
    const origin = await startRawOrigin(async socket => {
      await once(socket, 'data');
      socket.end(answer);
    });
    const { text, error } = await under.exchange(ask(origin.url));
    expect(text).toMatch(expected);
    expect(text).toMatch(/\r\nConnection: close\r\n/);
    if (answer.length > 1000) expect(text.length).toBeGreaterThan(3_000_000);
    expect(error).toBeUndefined();
  });

  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  it.each([
    'Content-Length: 0\r\n\r\n',
    'Content-Length: 2\r\n\r\nok',
    'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n',
  ])('that is refused and accepted at once is refused: %j', async answer => {
    const under = await startFrontend();
    const origin = await startSpeaker(`HTTP/1.1 200 OK\r\n${answer}${SWITCH}hello`, false);
    const { text, error } = await under.exchange(`${ask(origin.url)}early`);
    expect(error).toBeUndefined();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text.endsWith(answer.slice(answer.indexOf('\r\n\r\n')))).toBe(true);
    expect(text).not.toMatch(/ 101 |hello/);
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
    expect(under.log.join('')).not.toContain('"level":"error"');
  });

  it('loses a reason phrase that must not go on', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker(SWITCH.replace('Switching', 'Swit\u0001ching'));
    const client = await under.client(ask(origin.url));
    await client.got(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  });

  it('that fails for what nobody has thought of ends on both sides, and ends nothing else', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker(SWITCH, false);
    const failing = vi.spyOn(ServerResponse.prototype, 'detachSocket').mockImplementationOnce(() => {
      throw new Error('unthought of');
    });
    onTestFinished(() => failing.mockRestore());
    expect((await under.exchange(ask(origin.url))).error).toBe('ECONNRESET');
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
    const client = await under.client(ask(origin.url));
    await client.got(/^HTTP\/1\.1 101 /);
  });

  it('that fails so when it is refused ends on both sides too', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', false);
    const failing = vi.spyOn(ServerResponse.prototype, 'detachSocket').mockImplementationOnce(() => {
      throw new Error('unthought of');
    });
    onTestFinished(() => failing.mockRestore());
    await under.exchange(ask(origin.url));
    expect(under.log.join('')).toContain('unthought of');
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
  });

  it('that goes nowhere is told so', async () => {
    const under = await startFrontend();
    const { text, error } = await under.exchange(ask('http://127.0.0.1:1'));
    expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*connection_refused/);
    expect(error).toBeUndefined();
  });

  it('comes behind other requests', async () => {
    const under = await startFrontend();
    const { url } = await startEcho();
    const client = await under.client(`GET ${url}/ HTTP/1.1\r\nHost: x\r\n\r\n${ask(url)}early`);
    await client.got(/plain[\s\S]*HTTP\/1\.1 101 [\s\S]*hello early$/);
  });
});

it('goes through without a word of leaks, though whoever has opened the stream listens, too', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const under = await startFrontend({
    async openStream({ host, port }) {
      const stream = new ConnectionDuplex(await dial({ host, port, timeout: 2000, ipv6First: false, noDelay: true }));
      for (let count = 0; count < 3; count++) stream.once('close', () => {}); // as a tunnel's has
      return stream;
    },
  });
  const client = await under.client(ask((await startEcho()).url));
  await client.got(/hello $/);
  expect(warnings).toEqual([]);
});

describe('another upgrade', () => {
  const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';

  it.each([
    ['HTTP/2', H2C, 'GET', ''],
    ['HTTP/2 with a body', `${H2C}Content-Length: 4\r\n`, 'POST', 'body'],
    ['HTTP/2 with chunks', `${H2C}Transfer-Encoding: chunked\r\n`, 'POST', '4\r\nbody\r\n0\r\n\r\n'],
    ['WebSocket with a body', `${UPGRADE}Content-Length: 4\r\n`, 'GET', 'body'],
  ])('is ignored: %s', async (_what, fields, method, body) => {
    const under = await startFrontend();
    const origin = await startOrigin(async (request, response) => {
      const text = Buffer.concat(await request.toArray()).toString();
      response.end(`<${request.method} ${text} ${request.headers.upgrade} ${request.headers['http2-settings']}>`);
    });
    const client = await under.client(ask(origin.url, fields, method) + body);
    await client.got(/HTTP\/1\.1 200 [\s\S]*>$/);
    expect(client.text()).toContain(`<${method} ${body === '' ? '' : 'body'} undefined undefined>`);
    if (body === '') client.socket.write(ask(origin.url, 'Connection: close\r\n', 'GET'));
    expect(await client.over).toBeUndefined();
    expect(client.text().match(/HTTP\/1\.1 200 /g)).toHaveLength(body === '' ? 2 : 1);
    expect(client.text().match(/\r\nConnection: close\r\n/g)).toHaveLength(1);
    expect(under.opened).toHaveLength(1);
  });

  it('leaves nothing behind, however often it is ignored', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const under = await startFrontend();
    const origin = await startOrigin((request, response) => response.end(`<${request.url}>`));
    const client = await under.client();
    for (let count = 1; count <= 20; count++) {
      client.socket.write(ask(origin.url, H2C));
      await client.got(new RegExp(`(?:<\\/ws>[^<]*){${count}}$`));
    }
    expect(warnings).toEqual([]);
  });

  it('is ignored behind another request, too', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((request, response) => response.end(`<${request.url}>`));
    const first = `GET ${origin.url}/1 HTTP/1.1\r\nHost: x\r\n\r\n`;
    const client = await under.client(first + ask(origin.url, H2C) + first);
    await client.got(/<\/1>[\s\S]*<\/ws>[\s\S]*<\/1>$/);
  });
});
