import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  closed,
  type FrontendUnderTest,
  startFrontend,
  startOrigin,
  startRawOrigin,
  startSpeaker,
} from './http-fixtures.ts';

const CLOSE = 'Connection: close\r\n';
const get = (url: string, fields = '') => `GET ${url} HTTP/1.1\r\nHost: of.the.client\r\n${fields}\r\n`;

/** What a client of Node's makes of it, on connections that it keeps. */
function fetcher({ port }: FrontendUnderTest) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return (url: string, { method = 'GET', headers = {}, body = '' as string | Buffer } = {}) =>
    new Promise<IncomingMessage & { readonly body: Buffer }>((resolve, reject) => {
      httpRequest({ agent, host: '127.0.0.1', port, method, path: url, headers }, async response => {
        const body = Buffer.concat(await response.toArray());
        resolve(Object.assign(response, { body }));
      })
        .on('error', reject)
        .end(body);
    });
}

describe('a request that is passed on', () => {
  it('has the Host of its URL, and all fields but those of the hop, as they were written', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const fields = [
      'cOOkie: a=b',
      'X-Same: 1',
      'Connection: X-Named, close, content-length',
      'X-Named: dropped',
      'x-same: 2',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'TE: trailers',
      'Trailer: X-None',
      'Via: 1.0 fred',
      'X-Bytes: \u00c3\u00bc',
      'Authorization: Basic eDp5',
      'Max-Forwards: 7',
    ].map(field => `${field}\r\n`);
    await under.exchange(Buffer.from(get(`${origin.url}/a?b=%C3%BC`, fields.join('')), 'latin1'));
    expect(origin.requests[0]!.split('\r\n')).toEqual([
      'GET /a?b=%C3%BC HTTP/1.1',
      `Host: 127.0.0.1:${origin.port}`,
      'cOOkie: a=b',
      'X-Same: 1',
      'x-same: 2',
      'Via: 1.0 fred',
      'X-Bytes: \u00c3\u00bc',
      'Authorization: Basic eDp5',
      'Max-Forwards: 7',
      'Via: 1.1 podsocks',
      'Connection: keep-alive',
      '',
      '',
    ]);
  });

  it.each([
    ['GET', '', []],
    ['DELETE', '', ['Content-Length: 0']],
    ['POST', '', ['Content-Length: 0']],
    ['PROPFIND', '', ['Content-Length: 0']],
    ['GET', 'Content-Length: 3\r\n', ['Content-Length: 3']],
    ['POST', 'Content-Length: 3\r\nConnection: content-length\r\n', ['Content-Length: 3']],
    ['POST', 'Transfer-Encoding: Chunked\r\nTrailer: X\r\n', ['Trailer: X', 'Transfer-Encoding: chunked']],
    ['GET', 'Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n', ['Transfer-Encoding: chunked']],
  ])('by %s with %j says %j of its length', async (method, fields, expected) => {
    const under = await startFrontend();
    const origin = await startSpeaker('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', false);
    const body = fields.includes('Length') ? 'abc' : fields === '' ? '' : '1\r\na\r\n0\r\n\r\n';
    const client = await under.client(`${method} ${origin.url}/ HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`);
    await client.got(/ 200 /);
    const head = origin.requests[0]!.split('\r\n\r\n')[0]!;
    expect(head.split('\r\n').filter(line => /^(content-length|transfer-encoding|trailer):/i.test(line))).toEqual(
      expected,
    );
  });

  it('and its answer are whole, whatever their size, and the same streams serve for the next', async () => {
    const under = await startFrontend();
    const fetch = fetcher(under);
    const origin = await startOrigin(async (request, response) => {
      response.end(Buffer.concat(await request.toArray()));
    });
    const other = await startOrigin((_request, response) => response.end('other'));
    for (const size of [0, 1, 100, 65_536, 5_000_000]) {
      const body = Buffer.alloc(size, `${size} `);
      const answer = await fetch(`${origin.url}/`, { method: 'POST', body });
      expect([answer.statusCode, answer.body.equals(body)]).toEqual([200, true]);
      expect(String((await fetch(`${other.url}/`)).body)).toBe('other');
    }
    expect(under.opened).toEqual([`@127.0.0.1:${origin.port}`, `@127.0.0.1:${other.port}`]);
    expect(under.accepted).toHaveLength(1);
    expect(under.admitted.size).toBe(1);
  });

  it('is one of many on a connection without a word of leaks', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const under = await startFrontend();
    const fetch = fetcher(under);
    const origin = await startOrigin((_request, response) => response.end('x'));
    for (let count = 0; count < 40; count++) await fetch(`${origin.url}/`);
    expect(under.opened).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  it('comes with others in a pipeline, and is answered in its turn, one after the other', async () => {
    const under = await startFrontend();
    let underWay = 0;
    const origin = await startOrigin((request, response) => {
      underWay++;
      expect(underWay).toBe(1);
      request.resume().on('end', () =>
        setImmediate(() => {
          underWay--;
          response.end(`<${request.method} ${request.url}>`);
        }),
      );
    });
    const urls = Array.from({ length: 20 }, (_, index) => `${origin.url}/${index}`);
    const text = urls.map((url, index) =>
      index % 3 === 0
        ? `POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody`
        : get(url, index === 19 ? CLOSE : ''),
    );
    const { text: answers } = await under.exchange(text.join(''));
    expect(answers.match(/<\w+ \/\d+>/g)).toEqual(
      urls.map((_, index) => `<${index % 3 === 0 ? 'POST' : 'GET'} /${index}>`),
    );
  });

  it('waits in the client as long as many bytes of others wait here', async () => {
    const under = await startFrontend();
    const answered: (() => void)[] = [];
    const origin = await startOrigin((request, response) => {
      answered.push(() => response.end(`<${request.url}>`));
    });
    const heads = Array.from({ length: 80 }, (_, index) =>
      get(`${origin.url}/${index}`, `X: ${'x'.repeat(index < 20 ? 60 : 60_000)}\r\n${index === 79 ? CLOSE : ''}`),
    );
    const client = await under.client(heads.join(''));
    await expect.poll(() => answered.length).toBe(1);
    const { socket } = under.accepted[0]!;
    for (let index = 0, before = 0, passed = 0; index < heads.length; index++) {
      await expect.poll(() => answered.length, { interval: 1 }).toBe(index + 1);
      for (let still = 0; still < 20; before = socket.bytesRead) {
        await new Promise(resolve => setImmediate(resolve));
        still = socket.bytesRead === before ? still + 1 : 0;
      }
      expect(socket.bytesRead - passed).toBeLessThan(1536 * 1024);
      passed += heads[index]!.length;
      answered[index]!();
    }
    expect(await client.over).toBeUndefined();
    expect(client.text().match(/<\/\d+>/g)).toEqual(heads.map((_, index) => `</${index}>`));
  });

  it('of HTTP/1.0 gets an answer without chunks, whose end is that of the connection', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: t\r\n\r\n',
    );
    const { text, error } = await under.exchange(`GET ${origin.url}/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n`);
    expect(text).toBe('HTTP/1.1 200 OK\r\nVia: 1.1 podsocks\r\nConnection: close\r\n\r\nabc');
    expect(error).toBeUndefined();
    expect(origin.requests[0]).toMatch(/^GET \/ HTTP\/1\.1\r\n[\s\S]*Via: 1\.0 podsocks\r\n/);
    expect(origin.requests[0]).not.toMatch(/expect/i);
  });

  it('that has come through three proxies of this kind goes no further: it goes in circles', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker('HTTP/1.1 204 No Content\r\n\r\n');
    const via = 'Via: 1.1 podsocks, 1.0 fred (podsocks)\r\nVia: 1.1 podsocks\r\n';
    expect((await under.exchange(get(`${origin.url}/`, via + CLOSE))).text).toMatch(/^HTTP\/1\.1 204 /);
    const { text } = await under.exchange(get(`${origin.url}/`, `${via}Via: 1.1 podsocks\r\n${CLOSE}`));
    expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*Proxy-Status: podsocks; error=proxy_loop_detected/);
    expect(origin.requests).toHaveLength(1);
  });

  it('by OPTIONS goes as far as it may', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker('HTTP/1.1 204 No Content\r\n\r\n');
    const options = (hops: string) =>
      `OPTIONS ${origin.url} HTTP/1.1\r\nHost: x\r\nMax-Forwards: ${hops}\r\n${CLOSE}\r\n`;
    expect((await under.exchange(options('0'))).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nAllow: /);
    expect((await under.exchange(options('x'))).text).toMatch(/^HTTP\/1\.1 400 /);
    expect(origin.requests).toEqual([]);
    expect((await under.exchange(options('2'))).text).toMatch(/^HTTP\/1\.1 204 /);
    expect(origin.requests[0]).toMatch(/^OPTIONS \* HTTP\/1\.1\r\n[\s\S]*Max-Forwards: 1\r\n/);
  });

  it('keeps chunks, extensions aside, and what comes behind them', async () => {
    const under = await startFrontend();
    let trailers: NodeJS.Dict<string> = {};
    const origin = await startOrigin(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      trailers = request.trailers;
      response.writeHead(200, { Trailer: 'X-Digest' });
      response.write(body);
      response.addTrailers({ 'X-Digest': 'd', Connection: 'x', 'Set-Cookie': 'a=b' });
      response.end();
    });
    const body = '3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: s\r\nHost: evil\r\nConnection: x\r\n\r\n';
    const head = `POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n${CLOSE}\r\n`;
    const { text } = await under.exchange(head + body);
    expect(trailers).toEqual({ 'x-sum': 's' });
    expect(text).toMatch(/\r\nTrailer: X-Digest\r\n[\s\S]*\r\n5\r\nabcde\r\n0\r\nX-Digest: d\r\n\r\n$/);
  });

  it('waits for 100 Continue only as long as the target does', async () => {
    const under = await startFrontend();
    const origin = await startOrigin();
    const fields: unknown[] = [];
    origin.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      fields.push(request.headers.x);
      if (request.url === '/no') response.writeHead(413).end('too long');
      else {
        response.writeContinue();
        request.pipe(response);
      }
    });
    const head = (path: string) =>
      `POST ${origin.url}${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\nX: \u00c3\u00bc\r\n\r\n`;
    const yes = await under.client(Buffer.from(head('/yes'), 'latin1'));
    await yes.got(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    yes.socket.write('body');
    await yes.got(/HTTP\/1\.1 200 OK\r\n[\s\S]*body/);
    const no = await under.client(head('/no'));
    expect(await no.over).toBeUndefined();
    expect(fields[0]).toBe('\u00c3\u00bc');
    expect(no.text()).toMatch(/^HTTP\/1\.1 413 [\s\S]*\r\nConnection: close\r\n[\s\S]*too long/);
  });

  it('goes ahead of its body, whose client may wait for what the target says first', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((request, response) => {
      response.flushHeaders();
      request.pipe(response);
    });
    const client = await under.client(`POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    await client.got(/^HTTP\/1\.1 200 OK\r\n/);
    client.socket.write('4\r\nbody\r\n0\r\n\r\n');
    await client.got(/body\r\n0\r\n\r\n$/);
  });

  it('streams both ways at once, and holds back who is too fast', async () => {
    const under = await startFrontend();
    const origin = await startRawOrigin(socket => void socket.pause());
    const client = await under.client(`POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 120), Buffer.from('\r\n')]);
    let sent = 0;
    for (let still = 0; still < 20; ) {
      const { writableLength } = client.socket;
      if (writableLength > 1024 * 1024) still++;
      else {
        client.socket.write(chunk);
        sent += chunk.length;
        still = 0;
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    await expect.poll(() => under.streams.length).toBe(1);
    expect(under.streams[0]!.writableLength).toBeLessThan(1024 * 1024);
    expect(under.accepted[0]!.socket.bytesRead).toBeLessThan(sent);
    const [socket] = origin.sockets;
    let received = 0;
    socket!.on('data', data => {
      received += data.length;
    });
    socket!.resume();
    await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThan(sent);
  });
});

describe('an answer', () => {
  const whole = async (answer: string | Buffer, fields = CLOSE, method = 'GET') => {
    const under = await startFrontend();
    const origin = await startSpeaker(answer);
    const text = get(`${origin.url}/`, fields).replace('GET', method);
    return { ...(await under.exchange(text)), requests: origin.requests };
  };

  it('has all fields but those of the hop, as they were written', async () => {
    const { text, error } = await whole(
      Buffer.from(
        [
          'HTTP/1.1 299 F\u00fcr dich',
          'set-cookie: a=b',
          'Set-Cookie: c=d',
          'Connection: keep-alive, X-Hop',
          'X-Hop: dropped',
          'Keep-Alive: timeout=5',
          'Upgrade: h2c',
          'Proxy-Authenticate: Basic realm="x"',
          'WWW-Authenticate: Basic realm="y"',
          'Content-Length: 3',
          'Content-Disposition: attachment; filename="\u00e6\u0097\u00a5\u00c3\u00bc.txt"',
          'Trailer: X',
          '',
          'abc',
        ].join('\r\n'),
        'latin1',
      ),
    );
    expect(text.split('\r\n')).toEqual([
      'HTTP/1.1 299 F\u00fcr dich',
      'set-cookie: a=b',
      'Set-Cookie: c=d',
      'WWW-Authenticate: Basic realm="y"',
      'Content-Disposition: attachment; filename="\u00e6\u0097\u00a5\u00c3\u00bc.txt"',
      'Via: 1.1 podsocks',
      'Content-Length: 3',
      'Connection: close',
      '',
      'abc',
    ]);
    expect(error).toBeUndefined();
  });

  it.each([...'\0\u0001\u000b\u001b\u001f\u007f'])('loses a reason phrase that must not go on: %j', async control => {
    const head = `103 Ea${control}rly\r\nLink: </a.css>\r\n\r\nHTTP/1.1 299 O${control}K\r\n`;
    const { text, error } = await whole(`HTTP/1.1 ${head}Content-Length: 2\r\n\r\nok`);
    expect(text).toBe(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n' +
        'HTTP/1.1 299 \r\nVia: 1.1 podsocks\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
    );
    expect(error).toBeUndefined();
    const refused = await whole(`HTTP/1.1 200 O${control}K\r\nTransfer-Encoding: gzip\r\n\r\n`);
    expect(refused.text).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
  });

  it('with a change of the protocol right behind it is whole', async () => {
    const upgrade = 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello';
    const { text, error } = await whole(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${upgrade}`);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/);
    expect(error).toBeUndefined();
  });

  it('has all its fields, however many there are', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => `A${index}: b\r\n`).join('');
    const { text } = await whole(`HTTP/1.1 200 OK\r\n${many}Content-Length: 0\r\n\r\n`);
    expect(text).toContain('\r\nA2999: b\r\n');
  });

  it('comes as it is, byte by byte of it', async () => {
    const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
    const under = await startFrontend();
    const origin = await startRawOrigin(async socket => {
      socket.setNoDelay();
      await once(socket, 'data');
      for (const byte of answer) {
        socket.write(byte);
        await new Promise(resolve => setImmediate(resolve));
      }
    });
    const { text } = await under.exchange(get(`${origin.url}/`, CLOSE));
    const head = 'HTTP/1.1 200 OK\r\nVia: 1.1 podsocks\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(text.startsWith(head)).toBe(true);
    expect(text.slice(head.length).replace(/[0-9]\r\n|\r\n/g, '')).toBe('abcde');
    expect(text).toMatch(/\r\n0\r\n\r\n$/);
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'Content-Length: 5'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n', ''],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', 'Content-Length: 5'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', ''],
  ])('to %s without a body ends with its head: %j', async (method, answer, length) => {
    const under = await startFrontend();
    const origin = await startSpeaker(answer, false);
    const text = get(`${origin.url}/`).replace('GET', method);
    const client = await under.client(text);
    await client.got(/\r\n\r\n$/);
    client.socket.write(text.replace('\r\n\r\n', `\r\n${CLOSE}\r\n`));
    await client.over;
    const heads = client.text().split('\r\n\r\n');
    expect(heads).toHaveLength(3);
    expect(/content-length: \d+/i.exec(heads[0]!)?.[0] ?? '').toBe(length);
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\nhello'],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxhello'],
  ])('to %s is whole whatever comes behind it, which goes nowhere: %j', async (method, answer) => {
    const under = await startFrontend();
    const origin = await startSpeaker(answer, false);
    const client = await under.client(`${method} ${origin.url}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.got(/^HTTP\/1\.1 20[\s\S]*\r\n\r\nx?$/);
    await expect.poll(() => under.streams[0]!.destroyed).toBe(true);
    client.socket.write(`${method} ${origin.url}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(await client.over).toBeUndefined();
    expect(client.text().match(/HTTP\/1\.1 20/g)).toHaveLength(2);
    expect(client.text()).not.toContain('hello');
  });

  it('that ends with its connection is whole when that ends in order', async () => {
    const { text, error } = await whole('HTTP/1.0 200 OK\r\n\r\nall of it');
    expect(text).toMatch(/Via: 1\.0 podsocks\r\n[\s\S]*9\r\nall of it\r\n0\r\n\r\n$/);
    expect(error).toBe(undefined);
  });

  it('goes through with its interim answers, but not to HTTP/1.0', async () => {
    const answer =
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X\r\nX: y\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    expect((await whole(answer)).text).toBe(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nVia: 1.1 podsocks\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
    );
    const under = await startFrontend();
    const origin = await startSpeaker(answer);
    expect((await under.exchange(`GET ${origin.url}/ HTTP/1.0\r\n\r\n`)).text).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('may be long in coming: what is there of it goes on at once', async () => {
    const under = await startFrontend();
    let write = (_text: string) => {};
    const origin = await startOrigin((_request, response) => {
      response.flushHeaders();
      write = text => void response.write(text);
    });
    const client = await under.client(get(`${origin.url}/`));
    await client.got(/\r\n\r\n$/);
    for (const event of ['one', 'two', 'three']) {
      write(event);
      await client.got(new RegExp(`${event}\r\n$`));
    }
  });

  it('is held back where the client does not read', async () => {
    const under = await startFrontend();
    const bytes = 64 * 1024 * 1024;
    let written = 0;
    const origin = await startOrigin(async (_request, response) => {
      response.writeHead(200, { 'Content-Length': bytes });
      const chunk = Buffer.alloc(64 * 1024, 120);
      for (; written < bytes; written += chunk.length) {
        if (!response.write(chunk)) await once(response, 'drain');
      }
      response.end();
    });
    const client = await under.client(get(`${origin.url}/`, CLOSE));
    await client.got(/\r\n\r\n/);
    client.socket.pause();
    let before = -1;
    while (before !== written) {
      before = written;
      for (let turns = 0; turns < 200; turns++) await new Promise(resolve => setImmediate(resolve));
    }
    expect(written).toBeLessThan(bytes);
    expect(under.accepted[0]!.socket.writableLength).toBeLessThan(2 * 1024 * 1024);
    let received = client.text().length;
    client.socket.setEncoding('latin1').removeAllListeners('data');
    client.socket.on('data', data => {
      received += data.length;
    });
    client.socket.resume();
    await client.over;
    expect(received).toBeGreaterThan(bytes);
  });

  const FULL = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789';

  it('that is cut anywhere in its body is a reset, and nobody takes it for the whole', async () => {
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n';
    for (const answer of [FULL, chunked]) {
      const head = answer.indexOf('\r\n\r\n') + 4;
      for (let length = head; length < answer.length; length++) {
        for (const fields of ['', CLOSE]) {
          const under = await startFrontend();
          const origin = await startSpeaker(answer.slice(0, length));
          const { text, error } = await under.exchange(get(`${origin.url}/`, fields));
          expect([length, error]).toEqual([length, 'ECONNRESET']);
          expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
        }
      }
    }
  });

  it('that is cut before its body is a failure in words', async () => {
    for (const length of [0, 1, 12, 17, 30, FULL.indexOf('\r\n\r\n') + 3]) {
      const { text, error } = await whole(FULL.slice(0, length));
      expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*Proxy-Status: podsocks; error=connection_terminated/);
      expect(error).toBeUndefined();
    }
  });

  it('that ends with its connection is a reset when that was one', async () => {
    const under = await startFrontend();
    const origin = await startRawOrigin(async socket => {
      await once(socket, 'data');
      socket.write('HTTP/1.1 200 OK\r\n\r\npart of it', () => {});
    });
    const client = await under.client(get(`${origin.url}/`));
    await client.got(/part of it/);
    for (const socket of origin.sockets) socket.resetAndDestroy();
    expect(await client.over).toBe('ECONNRESET');
    expect(client.text()).not.toMatch(/\r\n0\r\n\r\n$/);
  });

  it.each([
    ['garbage', 'SSH-2.0-OpenSSH\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a coding without chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc'],
    ['an upgrade unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['an upgrade to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['interim answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)],
  ])('that is %s is a failure in words', async (what, answer) => {
    const { text, error } = await whole(answer);
    const final = what.startsWith('interim') ? text.slice(text.indexOf('HTTP/1.1 5')) : text;
    expect(final).toMatch(/^HTTP\/1\.1 502 [\s\S]*Proxy-Status: podsocks; error=http_protocol_error/);
    expect(error).toBeUndefined();
  });

  it('with too long a head is a failure in words', async () => {
    const { text } = await whole(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*error=http_response_header_section_size/);
  });

  it('to somebody else is never taken for the next', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker(`${FULL}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`, false);
    const client = await under.client(get(`${origin.url}/1`));
    await client.got(/0123456789$/);
    await expect.poll(() => under.streams[0]!.destroyed).toBe(true);
    client.socket.write(get(`${origin.url}/2`));
    await client.got(/0123456789[\s\S]*0123456789$/);
    expect(client.text()).not.toContain('evil');
    expect(under.streams).toHaveLength(2);
  });
});

describe('a stream that waits for the next request', () => {
  it.each([
    ['says something', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')],
    ['ends', (socket: Socket) => socket.end()],
    ['is reset', (socket: Socket) => socket.resetAndDestroy()],
  ])('is given up when it %s', async (_what, act) => {
    const under = await startFrontend();
    const origin = await startSpeaker(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`, false);
    const client = await under.client(get(`${origin.url}/1`));
    await client.got(/ok$/);
    for (let turns = 0; turns < 10; turns++) await new Promise(resolve => setImmediate(resolve));
    expect(under.streams[0]!.destroyed).toBe(false);
    act([...origin.sockets][0]!);
    await expect.poll(() => under.streams[0]!.destroyed).toBe(true);
    client.socket.write(get(`${origin.url}/2`));
    await client.got(/ok[\s\S]*ok$/);
    expect(client.text()).not.toContain('evil');
    expect(under.streams).toHaveLength(2);
  });
});

describe('an exchange', () => {
  const TRAILER = 'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n';

  it.each(['writeContinue', 'writeHead', 'flushHeaders', 'addTrailers', 'end'] as const)(
    'ends with its connection, and ends no other, where %s fails for what nobody has thought of',
    async method => {
      const under = await startFrontend();
      const origin = await startSpeaker(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${TRAILER}`);
      const other = await under.client();
      const failing = vi.spyOn(ServerResponse.prototype, method).mockImplementationOnce(() => {
        throw new Error('unthought of');
      });
      onTestFinished(() => failing.mockRestore());
      expect((await under.exchange(get(`${origin.url}/`))).text).not.toContain('X: y');
      expect(under.log.join('')).toContain('unthought of');
      await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
      other.socket.write(get(`${origin.url}/`));
      await other.got(/HTTP\/1\.1 200 [\s\S]*X: y\r\n\r\n$/);
    },
  );

  it('ends with its connection where the response fails by itself', async () => {
    const under = await startFrontend();
    const origin = await startSpeaker(`HTTP/1.1 200 OK\r\n${TRAILER}`);
    const failing = vi.spyOn(ServerResponse.prototype, 'flushHeaders').mockImplementationOnce(function (
      this: ServerResponse,
    ) {
      process.nextTick(() => this.emit('error', new Error('unthought of')));
    });
    onTestFinished(() => failing.mockRestore());
    expect((await under.exchange(get(`${origin.url}/`))).error).toBe('ECONNRESET');
    await expect.poll(() => under.streams.every(stream => stream.destroyed)).toBe(true);
  });

  it('goes both ways at once', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((request, response) => request.pipe(response));
    const client = await under.client(`POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (const word of ['one', 'two', 'three']) {
      client.socket.write(`${word.length}\r\n${word}\r\n`);
      await client.got(new RegExp(`\r\n${word}\r\n$`));
    }
    client.socket.write('0\r\n\r\n');
    await client.got(/\r\n0\r\n\r\n$/);
    expect(await client.over).toBeUndefined();
  });
});

describe('a stream', () => {
  it.each([
    ['ERR_DENIED', 403, 'http_request_denied'],
    ['ERR_TIMEOUT', 504, 'connection_timeout'],
    ['ERR_DIAL', 502, 'proxy_internal_error'],
    ['ERR_CLOSED', 502, 'proxy_internal_error'],
  ] as const)('that is not opened for %s is a %d, and the connection goes on', async (code, status, error) => {
    const under = await startFrontend({
      openStream: async () => {
        throw new PodsocksError(code, 'why it is so');
      },
    });
    const client = await under.client(get('http://a/') + get('http://b/', CLOSE));
    expect(await client.over).toBeUndefined();
    expect(client.text().match(new RegExp(`HTTP/1\\.1 ${status} `, 'g'))).toHaveLength(2);
    expect(client.text()).toContain(`Proxy-Status: podsocks; error=${error}\r\n`);
    expect(client.text()).toContain('why it is so');
  });

  it('that is refused says so, and the body is not read to its end', async () => {
    const under = await startFrontend({
      openStream: async () => {
        throw Object.assign(new PodsocksError('ERR_DIAL', 'refused'), { reply: 'connectionRefused' });
      },
    });
    const head = 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n';
    const { text, error } = await under.exchange(head);
    expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*connection_refused[\s\S]*Connection: close/);
    expect(error).toBeUndefined();
  });

  it('that is refused is not in the way of the next, though the body was there already', async () => {
    let refuse = () => {};
    const under = await startFrontend({
      openStream: () =>
        new Promise((_resolve, reject) => {
          refuse = () => reject(new PodsocksError('ERR_DIAL', 'refused'));
        }),
    });
    const part = 'x'.repeat(20_000);
    const text = `POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * part.length}\r\n\r\n${part}`;
    const client = await under.client(text);
    await expect.poll(() => under.accepted[0]?.socket.bytesRead).toBe(text.length);
    client.socket.write(part);
    await expect.poll(() => under.accepted[0]!.socket.bytesRead).toBe(text.length + part.length);
    refuse();
    await client.got(/^HTTP\/1\.1 502 [\s\S]*refused\n$/);
    client.socket.write(get('/none').replace('of.the.client', '127.0.0.1'));
    await client.got(/HTTP\/1\.1 404 /);
  });

  it('is not opened for a client that has gone meanwhile', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_request, response) => void response.write('part'));
    const client = await under.client(get(`${origin.url}/1`) + get(`${origin.url}/2`));
    await client.got(/part/);
    client.socket.resetAndDestroy();
    await Promise.all([...origin.sockets].map(closed));
    expect(under.opened).toHaveLength(1);
  });

  it('ends with its client, and so does one that is not open yet', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_request, response) => void response.write('part'));
    const client = await under.client(get(`${origin.url}/`));
    await client.got(/part/);
    client.socket.resetAndDestroy();
    await Promise.all([...origin.sockets].map(closed));

    let signal: AbortSignal | undefined;
    const waiting = await startFrontend({
      openStream: (_target, _who, options) => {
        signal = options.signal;
        return new Promise(() => {});
      },
    });
    const gone = await waiting.client(get('http://a/'));
    await expect.poll(() => signal).toBeDefined();
    expect(signal!.aborted).toBe(false);
    gone.socket.resetAndDestroy();
    await expect.poll(() => signal!.aborted).toBe(true);
  });

  it('that comes when the client has gone is closed', async () => {
    let open: ((stream: Duplex) => void) | undefined;
    const under = await startFrontend({
      openStream: () =>
        new Promise(resolve => {
          open = resolve;
        }),
    });
    const client = await under.client(get('http://a/'));
    await expect.poll(() => open).toBeDefined();
    client.socket.resetAndDestroy();
    await expect.poll(() => under.accepted[0]!.socket.destroyed).toBe(true);
    const late = new PassThrough();
    open!(late);
    await expect.poll(() => late.destroyed).toBe(true);
  });

  it('is reset when its request breaks off', async () => {
    for (const body of ['Content-Length: 10\r\n\r\nhalf', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n']) {
      const under = await startFrontend();
      const origin = await startRawOrigin(socket => void socket.resume());
      const client = await under.client(`POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\n${body}`);
      await expect.poll(() => [...origin.sockets].map(({ bytesRead }) => bytesRead > 100)).toEqual([true]);
      const [socket] = origin.sockets;
      const failed = new Promise(resolve => {
        socket!.once('error', resolve);
        socket!.once('end', () => resolve(undefined));
      });
      client.socket.end();
      expect(await failed).toMatchObject({ code: 'ECONNRESET' });
    }
  });

  it('answers a client that has ended its own side', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_request, response) => setImmediate(() => response.end('late')));
    const client = await under.client(get(`${origin.url}/`));
    client.socket.end();
    expect(await client.over).toBeUndefined();
    expect(client.text()).toMatch(/Connection: (close|keep-alive)[\s\S]*late/);
  });

  it('that was kept and is closed by the target just then is as if there were no proxy', async () => {
    const under = await startFrontend();
    let count = 0;
    const origin = await startRawOrigin(socket =>
      socket.on('data', () => {
        if (++count === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        else socket.end();
      }),
    );
    const client = await under.client(get(`${origin.url}/`));
    await client.got(/ok$/);
    const before = client.text();
    client.socket.write(get(`${origin.url}/`));
    await client.over;
    expect(client.text()).toBe(before); // and no 502, which would say that the target is out of order
    expect([count, under.streams.length]).toEqual([2, 1]);
  });

  it('is one of few that wait for their next request', async () => {
    const under = await startFrontend();
    const fetch = fetcher(under);
    const origins = await Promise.all(
      Array.from({ length: 8 }, () => startOrigin((_request, response) => response.end('x'))),
    );
    for (const { url } of origins) await fetch(`${url}/`);
    await expect.poll(() => under.streams.filter(stream => !stream.destroyed).length).toBe(4);
  });

  it('ends early where the answer comes before the end of the request', async () => {
    const under = await startFrontend();
    const origin = await startRawOrigin(async socket => {
      await once(socket, 'data');
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nlong');
    });
    const client = await under.client(
      `POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nbegun`,
    );
    expect(await client.over).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close\r\n\r\nlong$/);
    await expect.poll(() => under.streams[0]!.destroyed).toBe(true);
  });
});
