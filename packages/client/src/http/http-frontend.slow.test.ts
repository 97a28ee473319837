import { describe, expect, it, vi } from 'vitest';
import { closed, type FrontendUnderTest, startFrontend, startOrigin } from './http-fixtures.ts';

const USERS = [{ username: 'ada', password: 'pass:wörd' }];
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const ADA = basic('ada:pass:wörd');

const CONNECT = 'CONNECT web.default:443 HTTP/1.1\r\nHost: web.default:443\r\n\r\n';

/** All bytes but one alone, at each place. */
function splits(text: string): [string, string][] {
  return Array.from({ length: text.length - 1 }, (_, index) => [text.slice(0, index + 1), text.slice(index + 1)]);
}

async function connected({ connects }: FrontendUnderTest, count = 1) {
  await expect.poll(() => connects.length).toBe(count);
  return connects[count - 1]!;
}

describe('CONNECT', () => {
  it('that nobody can take over is reset', async () => {
    const under = await startFrontend({
      connect() {
        throw new Error('unthought of');
      },
    });
    const { text, error } = await under.exchange(CONNECT);
    expect([text, error]).toEqual(['', 'ECONNRESET']);
    expect(under.log.join('')).toContain('unthought of');
  });

  it('hands the connection over with what was sent behind it, whatever the split', async () => {
    const under = await startFrontend();
    const text = `${CONNECT}early bytes`;
    let count = 0;
    for (const [before, after] of splits(text)) {
      const client = await under.client(before);
      await expect.poll(() => under.accepted.length).toBe(++count);
      client.socket.write(after);
      const { connection, request, client: address } = await connected(under, count);
      expect([request.command, request.target, address]).toEqual([
        'connect',
        { type: 'name', host: 'web.default', port: 443 },
        '192.0.2.1',
      ]);
      expect(request).not.toHaveProperty('username');
      let rest = Buffer.from(request.rest).toString();
      connection.receive = (input, length) => {
        rest += Buffer.from(input.subarray(0, length)).toString();
        return true;
      };
      connection.socket.resume();
      await expect.poll(() => rest).toBe('early bytes');
      connection.socket.end(request.encodeReply('succeeded'));
      await client.over;
      expect(client.text()).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
      expect(under.admitted.has(connection)).toBe(true);
    }
  });

  it('byte by byte', async () => {
    const under = await startFrontend();
    const { socket } = await under.client();
    socket.setNoDelay();
    for (const byte of CONNECT) {
      socket.write(byte);
      await new Promise(resolve => setImmediate(resolve));
    }
    expect((await connected(under)).request.target.host).toBe('web.default');
  });

  it.each([
    ['10.1.2.3:80', { type: 'ipv4', host: '10.1.2.3', port: 80 }],
    ['[2001:DB8::1]:65535', { type: 'ipv6', host: '2001:db8::1', port: 65535 }],
    ['redis:1', { type: 'name', host: 'redis', port: 1 }],
  ])('to %s', async (authority, target) => {
    const under = await startFrontend();
    await under.client(Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1'));
    expect((await connected(under)).request.target).toEqual(target);
  });

  it.each([
    ['no port', 'web.default'],
    ['port 0', 'web.default:0'],
    ['too large a port', 'web.default:65536'],
    ['too long a port', 'web.default:000080'],
    ['a port that is none', 'web.default:8o'],
    ['no host', ':443'],
    ['user information', 'ada@web.default:443'],
    ['a zone', '[fe80::1%25eth0]:443'],
    ['brackets around no address', '[web]:443'],
    ['IPv6 without brackets', '::1:443'],
    ['percent-encoding', 'w%65b:443'],
    ['too long a name', `${'a'.repeat(256)}:443`],
    ['a URL', 'http://web.default:443/'],
    ['a path', '/web'],
  ])('is refused with %s', async (_what, authority) => {
    const under = await startFrontend();
    const { text, error } = await under.exchange(
      Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1'),
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n(.+\r\n)*Connection: close\r\n\r\n.+\n$/);
    expect(error).toBeUndefined();
    expect(under.connects).toEqual([]);
  });

  it('that is refused leaves its reply readable, whatever is sent behind it', async () => {
    const under = await startFrontend();
    const early = Buffer.alloc(1024 * 1024, 'x');
    const client = await under.client(Buffer.concat([Buffer.from('CONNECT a:0 HTTP/1.1\r\n\r\n'), early]));
    client.socket.end();
    expect(await client.over).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 400 /);
    await expect.poll(() => under.accepted[0]!.socket.destroyed).toBe(true);
    expect(under.accepted[0]!.socket.bytesRead).toBeGreaterThan(early.length);
  });

  it.each([
    ['generalFailure', 502, 'proxy_internal_error'],
    ['notAllowed', 403, 'http_request_denied'],
    ['networkUnreachable', 502, 'destination_ip_unroutable'],
    ['hostUnreachable', 502, 'destination_unavailable'],
    ['connectionRefused', 502, 'connection_refused'],
    ['ttlExpired', 504, 'connection_timeout'],
    ['commandNotSupported', 501, 'proxy_configuration_error'],
    ['addressTypeNotSupported', 502, 'destination_ip_unroutable'],
  ] as const)('says %s as %d and %s', async (reply, status, error) => {
    const under = await startFrontend();
    await under.client(CONNECT);
    const { request } = await connected(under);
    const [head = '', body = ''] = Buffer.from(request.encodeReply(reply)).toString().split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head).toContain(`\r\nProxy-Status: podsocks; error=${error}`);
    expect(head).toContain('\r\nConnection: close');
    expect(head).toContain(`\r\nContent-Length: ${Buffer.byteLength(body)}`);
    expect(body).toMatch(/^.+\n$/);
  });

  it('ignores what says that it has a body', async () => {
    for (const field of [
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      'Upgrade: websocket\r\nConnection: Upgrade',
    ]) {
      const under = await startFrontend();
      await under.client(`CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n${field}\r\n\r\nhello`);
      expect(String((await connected(under)).request.rest)).toBe('hello');
    }
  });

  it('behind another request comes after its answer', async () => {
    const under = await startFrontend();
    let finish = () => {};
    const origin = await startOrigin((_request, response) => {
      response.flushHeaders();
      finish = () => response.end('first');
    });
    const head = `GET ${origin.url}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
    const client = await under.client(`${head}${CONNECT}the `);
    await client.got(/^HTTP\/1\.1 200 OK\r\n/);
    client.socket.write('rest');
    await expect.poll(() => under.accepted[0]!.socket.bytesRead).toBe(`${head}${CONNECT}the rest`.length);
    expect(under.connects).toEqual([]);
    finish();
    const { request, connection } = await connected(under);
    expect(client.text()).toMatch(/5\r\nfirst\r\n0\r\n\r\n$/);
    expect(String(request.rest)).toBe('the rest');
    await expect.poll(() => origin.sockets.size).toBe(1);
    connection.close();
    await client.over;
  });

  it('is off the frontend once it is handed over', async () => {
    const under = await startFrontend();
    const client = await under.client(CONNECT);
    const { connection } = await connected(under);
    under.frontend.close();
    under.frontend.drain();
    connection.socket.write('still open');
    await client.got(/still open/);
  });
});

describe('a password', () => {
  const request = (url: string, field = '') => `GET ${url} HTTP/1.1\r\nHost: x\r\n${field}\r\n`;

  it.each([
    ['none', ''],
    ['a wrong one', `Proxy-Authorization: ${basic('ada:wrong')}\r\n`],
    ['a wrong user', `Proxy-Authorization: ${basic('eve:pass:wörd')}\r\n`],
    ['no colon', `Proxy-Authorization: ${basic('ada')}\r\n`],
    ['another scheme', `Proxy-Authorization: ${ADA.replace('Basic', 'Bearer')}\r\n`],
    ['nothing in it', 'Proxy-Authorization: Basic \r\n'],
    ['the field of the server', `Authorization: ${ADA}\r\n`],
  ])('is asked for: %s', async (_what, field) => {
    const under = await startFrontend({ users: USERS });
    for (const text of [
      `CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n${field}\r\n`,
      request('http://a/', `${field}Connection: close\r\n`),
      request('https://a/', `${field}Connection: close\r\n`),
    ]) {
      const answer = await under.exchange(text);
      expect(answer.text).toMatch(/^HTTP\/1\.1 407 Proxy Authentication Required\r\n/);
      expect(answer.text).toContain('\r\nProxy-Authenticate: Basic realm="ss-local", charset="UTF-8"\r\n');
      expect(answer.error).toBeUndefined();
    }
    expect([under.connects, under.opened, under.admitted.size]).toEqual([[], [], 0]);
    expect(under.log.join('')).not.toContain('wörd');
  });

  it('lets the user in, by CONNECT and without', async () => {
    const under = await startFrontend({ users: USERS });
    const origin = await startOrigin((asked, response) => response.end(JSON.stringify(asked.rawHeaders)));
    await under.client(`CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Authorization: ${ADA}\r\n\r\n`);
    expect((await connected(under)).request.username).toBe('ada');
    const field = `proxy-authorization: ${ADA.replace('Basic', 'bASIC  ')}\r\nConnection: close\r\n`;
    const { text } = await under.exchange(request(`${origin.url}/`, field));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.toLowerCase()).not.toContain('authorization');
    expect(under.opened).toEqual([`ada@127.0.0.1:${origin.port}`]);
  });

  it('can be given on the same connection after it was asked for, and admits only then', async () => {
    const under = await startFrontend({ users: USERS });
    const origin = await startOrigin((_asked, response) => response.end('in'));
    const client = await under.client(request(`${origin.url}/`));
    await client.got(/ 407 /);
    expect(under.admitted.size).toBe(0);
    client.socket.write(request(`${origin.url}/`, `Proxy-Authorization: ${ADA}\r\n`));
    await client.got(/ 200 [\s\S]*in$/);
    expect(under.admitted.size).toBe(1);
  });

  it('is not asked for where there are no users', async () => {
    const under = await startFrontend();
    await under.client(`CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Authorization: ${ADA}\r\n\r\n`);
    expect((await connected(under)).request).not.toHaveProperty('username');
  });
});

describe('what is not HTTP', () => {
  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a method that is none', 'G@T / HTTP/1.1\r\n\r\n'],
    ['a field without a name', 'GET http://a/ HTTP/1.1\r\n: x\r\n\r\n'],
    ['a space before the colon', 'GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['two lengths', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['two equal lengths', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nab'],
    ['a list of lengths', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nab'],
    ['a negative length', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nab'],
    [
      'a length and chunks',
      'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'chunks and a length',
      'POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
    ],
    ['chunks not last', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n'],
    ['an unknown coding', 'POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a NUL', 'GET http://a/ HTTP/1.1\r\nHost: a\0b\r\n\r\n'],
    ['a lone CR', 'GET http://a/ HTTP/1.1\r\nHost: a\rX: y\r\n\r\n'],
    ['the end of a head', 'GET http://a/ HTTP/1.1\r\nHo'],
  ])('%s is refused, and nothing is opened', async (what, bytes) => {
    const under = await startFrontend();
    const client = await under.client(bytes);
    if (what === 'the end of a head') client.socket.end();
    const error = await client.over;
    expect(client.text()).toMatch(/^(HTTP\/1\.1 400 Bad Request\r\n[\s\S]*this is not HTTP|$)/);
    if (what !== 'HTTP/2') expect([client.text() === '', error]).toEqual([false, undefined]);
    expect([under.opened, under.connects]).toEqual([[], []]);
  });

  it.each([
    ['two codings', 'Transfer-Encoding: gzip, chunked'],
    ['chunks twice', 'Transfer-Encoding: chunked, chunked'],
    ['chunks in two fields', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
  ])('%s are refused', async (_what, field) => {
    const under = await startFrontend();
    const { text } = await under.exchange(
      `POST http://a/ HTTP/1.1\r\nHost: a\r\n${field}\r\nConnection: close\r\n\r\n0\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 (501|400) /);
    expect(under.opened).toEqual([]);
  });

  it.each([
    ['no Host', 400, 'GET http://a/ HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['two of them', 400, 'GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
    ['another version', 505, 'GET http://a/ HTTP/2.0\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['https', 501, 'GET https://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['ftp', 501, 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['no host in the URL', 400, 'GET http:/// HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['user information', 400, 'GET http://ada:x@a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['port 0', 400, 'GET http://a:0/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['a fragment', 400, 'GET http://a/#b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['a star', 400, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['TRACE', 405, 'TRACE http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['an expectation', 417, 'GET http://a/ HTTP/1.1\r\nHost: a\r\nExpect: more\r\nConnection: close\r\n\r\n'],
  ])('%s: %d', async (_what, status, bytes) => {
    const under = await startFrontend();
    const { text, error } = await under.exchange(bytes);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 (${status}|400) `));
    expect(error).toBeUndefined();
    expect(under.opened).toEqual([]);
  });

  it('a head that is too long is refused, and is not kept', async () => {
    const under = await startFrontend();
    const client = await under.client('GET http://a/ HTTP/1.1\r\nHost: a\r\n');
    client.socket.on('error', () => {});
    for (let line = 0; line < 80; line++) client.socket.write(`X-${line}: ${'x'.repeat(1000)}\r\n`);
    await client.got(/^HTTP\/1\.1 431 [\s\S]*64 KiB/);
  });

  it('leaves out no field, however many there are', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((asked, response) => response.end(`${asked.rawHeaders.length / 2} fields`));
    origin.server.maxHeadersCount = 0;
    const many = Array.from({ length: 3000 }, (_, index) => `A${index}: b\r\n`).join('');
    const { text } = await under.exchange(`GET ${origin.url}/ HTTP/1.1\r\nHost: x\r\n${many}Connection: close\r\n\r\n`);
    expect(text).toContain('3003 fields'); // Host, Via and Connection
  });

  it('says nothing more to a client that has more requests under way than anybody has', async () => {
    const under = await startFrontend({ openStream: () => new Promise(() => {}) });
    const { error } = await under.exchange('GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(65));
    expect(error).toBe('ECONNRESET');
    expect((await under.client('GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(64))).text()).toBe('');
  });

  it('behind a request whose answer is under way breaks that off', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_request, response) => void response.write('part'));
    const client = await under.client(`GET ${origin.url}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.got(/part/);
    client.socket.write('GARBAGE\r\n\r\n');
    expect(await client.over).toBe('ECONNRESET');
    expect(client.text()).not.toContain(' 400 ');
    await Promise.all([...origin.sockets].map(closed));
  });

  it('goes on after each of many garbled connections, of which none stays', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_asked, response) => response.end('fine'));
    const text = `POST ${origin.url}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody`;
    for (let index = 0; index < text.length; index++) {
      const bytes = Buffer.from(text);
      bytes[index]! ^= 1 << (index % 8);
      const { socket, over } = await under.client(bytes);
      socket.end();
      await over;
    }
    await expect.poll(() => under.accepted.filter(({ socket }) => !socket.destroyed)).toEqual([]);
    expect((await under.exchange(text)).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*fine/);
  });
});

describe('time', () => {
  const fake = () => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const GET = (url: string) => `GET ${url}/ HTTP/1.1\r\nHost: x\r\n\r\n`;

  it('ends a connection without a request, after the idle time and not before', async () => {
    fake();
    const under = await startFrontend({ idleTimeout: 20_000, handshakeTimeout: 10_000 });
    const origin = await startOrigin((_asked, response) => response.end('done'));
    const client = await under.client(GET(origin.url));
    await client.got(/done/);
    await expect.poll(() => origin.sockets.size).toBe(1);
    vi.advanceTimersByTime(19_000);
    client.socket.write('GET '); // the head of another begins
    await expect.poll(() => under.accepted[0]!.socket.bytesRead).toBe(GET(origin.url).length + 4);
    vi.advanceTimersByTime(9_000);
    expect(under.accepted[0]!.socket.destroyed).toBe(false);
    client.socket.write('http://'); // and does not go on for ever
    await expect.poll(() => under.accepted[0]!.socket.bytesRead).toBe(GET(origin.url).length + 11);
    vi.advanceTimersByTime(3_000);
    vi.useRealTimers();
    expect(await client.over).toBeUndefined();
    await Promise.all([...origin.sockets].map(closed));
  });

  it('resets one whose answer has stopped', async () => {
    fake();
    const under = await startFrontend({ idleTimeout: 20_000 });
    const origin = await startOrigin((_asked, response) => void response.write('part'));
    const client = await under.client(GET(origin.url));
    await client.got(/part/);
    vi.advanceTimersByTime(1_000); // sees the bytes
    vi.advanceTimersByTime(19_000);
    expect(under.accepted[0]!.socket.destroyed).toBe(false);
    vi.advanceTimersByTime(2_000);
    vi.useRealTimers();
    expect(await client.over).toBe('ECONNRESET');
  });

  it('gives a client that has its last answer no more than a moment to close', async () => {
    fake();
    const under = await startFrontend({ idleTimeout: 60_000, handshakeTimeout: 10_000 });
    const client = await under.client('GARBAGE\r\n\r\n');
    await client.over; // which leaves its own side open
    const [connection] = under.accepted;
    vi.advanceTimersByTime(9_000);
    expect(connection!.socket.destroyed).toBe(false);
    client.socket.write('and more');
    await expect.poll(() => connection!.socket.bytesRead).toBe('GARBAGE\r\n\r\nand more'.length);
    vi.advanceTimersByTime(2_000);
    vi.useRealTimers();
    await expect.poll(() => connection!.socket.destroyed).toBe(true);
  });
});

describe('the end', () => {
  it('of a drain is that of the answers that are due, and of idle connections at once', async () => {
    const under = await startFrontend();
    let finish = () => {};
    const origin = await startOrigin((_asked, response) => {
      response.write('begun, ');
      finish = () => response.end('done');
    });
    const idle = await under.client('GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await idle.got(/404/);
    const busy = await under.client(`GET ${origin.url}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await busy.got(/begun/);
    const asking = await under.client('GET /asking HTTP/1.1\r\n');
    await expect.poll(() => under.accepted[2]?.socket.bytesRead).toBeGreaterThan(0);
    under.frontend.drain();
    expect(await idle.over).toBeUndefined();
    asking.socket.write('Host: 127.0.0.1\r\n\r\n');
    expect(await asking.over).toBeUndefined();
    expect(asking.text()).toMatch(/ 404 /);
    expect(
      await under
        .client('GET /late HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
        .then(async late => [await late.over, late.text()]),
    ).toEqual([undefined, expect.stringContaining(' 404 ')]);
    finish();
    expect(await busy.over).toBeUndefined();
    expect(busy.text()).toMatch(/begun, \r\n4\r\ndone\r\n0\r\n\r\n$/);
  });

  it('of all is at once, and of those under way by a reset', async () => {
    const under = await startFrontend();
    const origin = await startOrigin((_asked, response) => void response.write('begun'));
    const busy = await under.client(`GET ${origin.url}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await busy.got(/begun/);
    under.frontend.close();
    expect(await busy.over).toBe('ECONNRESET');
    await Promise.all([...origin.sockets].map(closed));
  });
});
