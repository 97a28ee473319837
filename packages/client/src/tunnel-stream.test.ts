import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { targetOf } from '@podsocks/shared/wire/address';
import { type ConnectReply, encodeStatus } from '@podsocks/shared/wire/connect-status';
import { UNBOUND } from '@podsocks/shared/wire/socks5';
import { describe, expect, it, onTestFinished } from 'vitest';
import { REASONS } from './connect-reply.ts';
import { type Asked, startFakeServer } from './server-fixtures.ts';
import { openTunnelStream, RefusedTarget, type TunnelStreamOptions } from './tunnel-stream.ts';
import { Inbox } from './udp/uplink-fixtures.ts';

const WEB = targetOf('web.default', 80);

/** A stream on its way to a server that the test plays. */
async function begin(given: Partial<TunnelStreamOptions> = {}) {
  const requests = new Inbox<Asked>();
  const server = await startFakeServer(asked => requests.put(asked));
  const connection = await server.dialServer();
  onTestFinished(() => connection.reset());
  const options = { wantsStatus: true, timeout: 10_000, ...given };
  const opened = openTunnelStream({ link: server, connection }, WEB, options);
  opened.catch(() => {}); // until the test looks
  return { server, connection, opened, requests };
}

/** The same, once the server has the request. */
async function ask(given: Partial<TunnelStreamOptions> = {}) {
  const begun = await begin(given);
  return { ...begun, asked: await begun.requests.next() };
}

const statusOf = (reply: ConnectReply): Uint8Array => encodeStatus({ reply, bound: UNBOUND });

async function failure(opened: Promise<Duplex>): Promise<PodsocksError> {
  const error = await opened.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(PodsocksError);
  return error as PodsocksError;
}

/** What a stream gives until it ends. */
async function textOf(stream: Duplex): Promise<string> {
  stream.setEncoding('utf8');
  let text = '';
  for await (const part of stream) text += part;
  return text;
}

const isClosed = ({ open }: { open(): number }) => expect.poll(open).toBe(0);

/** Whether the other side of a socket ends in order. */
const ending = (socket: Socket): Promise<'end' | 'reset'> =>
  new Promise(resolve =>
    socket
      .resume()
      .once('end', () => resolve('end'))
      .once('error', () => resolve('reset')),
  );

describe('a stream whose server is asked what became of it', () => {
  it('asks ahead of anything else, and opens with the success, and what came with it', async () => {
    const { opened, asked } = await ask();
    expect(asked.request).toMatchObject({ wantsStatus: true, target: { host: 'web.default', port: 80 } });
    expect(asked.payload).toBe('');
    asked.socket.write(asked.seal(Buffer.concat([statusOf('succeeded'), Buffer.from('220 ')])));
    const stream = await opened;
    asked.socket.write(asked.seal('ready\r\n'));
    asked.socket.end();
    expect(await textOf(stream)).toBe('220 ready\r\n');
  });

  it('opens when the status comes in pieces', async () => {
    const { opened, asked, connection } = await ask();
    const status = statusOf('succeeded');
    const first = asked.seal(status.subarray(0, 3));
    asked.socket.write(first);
    await expect.poll(() => connection.socket.bytesRead).toBe(first.length);
    asked.socket.write(asked.seal(status.subarray(3)));
    asked.socket.end(asked.seal('x'));
    expect(await textOf(await opened)).toBe('x');
  });

  it.each(Object.entries(REASONS) as [keyof typeof REASONS, string][])(
    'is refused as the server says: %s',
    async (reply, words) => {
      const { opened, asked, server } = await ask();
      asked.socket.write(asked.seal(statusOf(reply)));
      const error = await failure(opened);
      expect(error).toBeInstanceOf(RefusedTarget);
      expect(error).toMatchObject({
        code: reply === 'notAllowed' ? 'ERR_DENIED' : 'ERR_DIAL',
        message: `web.default:80: ${words}`,
        reply,
      });
      await isClosed(server);
    },
  );

  it.each<[string, (asked: Asked) => void, string]>([
    ['ends without a word', ({ socket }) => socket.end(), 'ERR_CLOSED'],
    ['answers what is no status', ({ socket, seal }) => socket.write(seal('HTTP/1.1 200 OK')), 'ERR_HEADER'],
    ['answers what no key opens', ({ socket }) => socket.write(Buffer.alloc(256, 1)), 'ERR_AUTHENTICATION'],
    ['ends in the middle', ({ socket, seal }) => socket.end(seal(statusOf('succeeded').subarray(0, 3))), 'ERR_CLOSED'],
  ])('fails when the server %s', async (_, answer, code) => {
    const { opened, asked, server } = await ask();
    answer(asked);
    expect(await failure(opened)).toMatchObject({ code });
    await isClosed(server);
  });

  it('fails when the server resets', async () => {
    const { opened, asked } = await ask();
    asked.socket.resetAndDestroy();
    await expect(opened).rejects.toThrow();
  });

  it('fails when the server is silent', async () => {
    const { opened, server } = await ask({ timeout: 10 });
    expect(await failure(opened)).toMatchObject({ code: 'ERR_TIMEOUT', message: expect.stringContaining('0.01 s') });
    await isClosed(server);
  });
});

describe('a stream whose server is not asked', () => {
  const wantsStatus = false;

  it('is open at once, so that the other side may be the first to speak', async () => {
    const { opened, asked } = await ask({ wantsStatus });
    const stream = await opened;
    expect(asked.request.wantsStatus).toBeFalsy();
    expect(asked.payload).toBe('');
    asked.socket.write(asked.seal('220 ready'));
    expect(String((await once(stream, 'data'))[0])).toBe('220 ready');
  });

  it('ends where the server ends without a word, as a plain one does that reaches nobody', async () => {
    const { opened, asked } = await ask({ wantsStatus });
    asked.socket.end();
    expect(await textOf(await opened)).toBe('');
  });

  it('ends nothing else where the server resets and nobody listens', async () => {
    const { opened, asked, server } = await ask({ wantsStatus });
    const stream = await opened;
    asked.socket.resetAndDestroy();
    stream.read(0);
    await expect.poll(() => stream.closed).toBe(true);
    expect(stream.errored).toBeInstanceOf(Error);
    await isClosed(server);
  });
});

describe('the end of a stream', () => {
  async function open() {
    const begun = await ask();
    const { asked, opened } = begun;
    asked.socket.write(asked.seal(statusOf('succeeded')));
    return { ...begun, stream: await opened };
  }

  it('is that of its connection, in order, when both sides have ended', async () => {
    const { stream, asked, server } = await open();
    const ended = ending(asked.socket);
    stream.end('bye');
    asked.socket.end(asked.seal('bye'));
    expect(await textOf(stream)).toBe('bye');
    expect(await ended).toBe('end');
    await isClosed(server);
  });

  it('is that of its connection when nobody wants it any more', async () => {
    const { stream, asked, server } = await open();
    const ended = ending(asked.socket);
    stream.destroy();
    expect(await ended).toBe('end');
    await isClosed(server);
  });

  it('is a reset where it has failed, which must not look like the whole', async () => {
    const { stream, asked, server } = await open();
    const ended = ending(asked.socket);
    stream.on('error', () => {});
    stream.destroy(new Error('too late'));
    expect(await ended).toBe('reset');
    await isClosed(server);
  });

  it('is an error, and a reset, where what comes has been altered', async () => {
    const { stream, asked, server } = await open();
    const ended = ending(asked.socket);
    asked.socket.write(Buffer.alloc(256, 1));
    await expect(textOf(stream)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
    expect(await ended).toBe('reset');
    await isClosed(server);
  });

  it('is an error where the answer stops in the middle of a chunk', async () => {
    const { stream, asked } = await open();
    asked.socket.end(asked.seal('all of it').subarray(0, 20));
    await expect(textOf(stream)).rejects.toMatchObject({ code: 'ERR_TRUNCATED' });
  });
});

describe('a signal', () => {
  const givenUp = { code: 'ERR_CLOSED', message: 'web.default:80: given up' };

  it.each([true, false])('that has come already asks nobody (status: %s)', async wantsStatus => {
    const { opened, server, requests } = await begin({ wantsStatus, signal: AbortSignal.abort() });
    expect(await failure(opened)).toMatchObject(givenUp);
    await isClosed(server);
    expect(requests.size).toBe(0);
  });

  it('gives up a request that waits for its answer', async () => {
    const controller = new AbortController();
    const { opened, server } = await ask({ signal: controller.signal });
    controller.abort();
    expect(await failure(opened)).toMatchObject(givenUp);
    await isClosed(server);
  });

  it.each([true, false])('does nothing to a stream that is open (status: %s)', async wantsStatus => {
    const controller = new AbortController();
    const { opened, asked } = await ask({ signal: controller.signal, wantsStatus });
    if (wantsStatus) asked.socket.write(asked.seal(statusOf('succeeded')));
    const stream = await opened;
    controller.abort();
    asked.socket.end(asked.seal('x'));
    expect(await textOf(stream)).toBe('x');
  });
});
