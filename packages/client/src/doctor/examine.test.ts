import { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Asked, answerInformation, fakeEntry, startFakeServer } from '../server-fixtures.ts';
import { askInformation } from './ask-server.ts';
import { examine } from './examine.ts';
import type { ExamineOptions } from './examine-options.ts';
import { type ExaminedServer, examinedServer } from './examined-server.ts';
import { exitCodeOf, type Finding } from './finding.ts';
import { firstSign } from './first-sign.ts';

vi.mock('node:timers/promises', () => ({ setTimeout: async () => {} }));

const TARGET = targetOf('web.default', 80);

/** A server that answers each connection in its own way, and what it was asked for. */
async function start(...answers: readonly ((asked: Asked) => void)[]) {
  const targets: Target[] = [];
  const { server, dialServer } = await startFakeServer(asked => {
    const answer = answers[targets.length] ?? (() => {});
    targets.push(asked.request.target);
    answer(asked);
  });
  return { link: examinedServer(server, { cryptoBackend: 'auto' }, () => dialServer()), targets };
}

async function findings(link: ExaminedServer, options: Partial<ExamineOptions> = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  await examine({ link, target: TARGET, report: finding => found.push(finding), ...options });
  return found;
}

const end = ({ socket }: Asked) => void socket.end();
const info = (asked: Asked) =>
  answerInformation(asked, { podsocks: { version: '1.2.3' }, features: ['connect-status'] });
const json = (body: object, status = 200) => {
  return ({ socket, seal }: Asked) => {
    const text = JSON.stringify(body);
    socket.write(seal(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\n\r\n${text}`));
  };
};

describe('a server that does not tell what it is', () => {
  it('is no way to a target where it ends every connection', async () => {
    const { link } = await start(end, end);
    const found = await findings(link);
    expect(found.at(-2)).toMatchObject({ stage: 'key', result: 'warning' });
    expect(found.at(-2)).not.toHaveProperty('advice');
    expect(found.at(-1)).toMatchObject({
      stage: 'dial',
      result: 'failed',
      found: 'web.default:80 was asked for, and the server ended that connection, too',
      advice: expect.stringMatching(/^the target refuses.*ask for a new URL/),
    });
    expect(exitCodeOf([{ server: '', findings: found }])).toBe(17);
  });

  it('may be one that what is between does not reach', async () => {
    const { link } = await start(end, end);
    const found = await findings({ ...link, through: 'the plugin obfs-local' });
    expect(found.at(-1)?.advice).toMatch(/^the plugin obfs-local does not reach the server; or /);
  });

  it('has our key where the target answers', async () => {
    const { link } = await start(end, ({ socket, seal }) => void socket.write(seal('SSH-2.0')));
    expect((await findings(link)).at(-1)).toMatchObject({ stage: 'dial', result: 'ok' });
  });

  it('has another key where its answer does not open', async () => {
    const { link } = await start(end, ({ socket }) => void socket.write(Buffer.alloc(100, 7)));
    const last = (await findings(link)).at(-1);
    expect(last).toMatchObject({
      stage: 'dial',
      result: 'failed',
      advice: expect.stringMatching(/^ask for a new URL/),
    });
  });

  it('may be one without the plugin', async () => {
    const { link } = await start(end, ({ socket }) => void socket.write(Buffer.alloc(100, 7)));
    const server = { ...link.server, plugin: { command: 'obfs-local', environment: {}, from: '--plugin' } };
    expect((await findings({ ...link, server })).at(-1)?.advice).toMatch(/; or the server has no obfs-local in front/);
  });

  it('is asked for what ss-local would ask for', async () => {
    const completed = targetOf('redis.payments.svc.cluster.local', 6379);
    const { link, targets } = await start(end, end);
    const wayTo = () => ({ way: 'tunnel', because: '', target: completed }) as const;
    await findings(link, { target: targetOf('redis', 6379), wayTo });
    expect(targets.at(-1)).toEqual(completed);
  });
});

it('speaks of the way there where that fails on the second connection', async () => {
  const { link } = await start(end);
  let dials = 0;
  const refused = new PodsocksError('ERR_DIAL', 'refused', {
    cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
  });
  const found = await findings({
    ...link,
    dial: timeout => (++dials > 2 ? Promise.reject(refused) : link.dial(timeout)),
  });
  expect(found.at(-1)).toMatchObject({ stage: 'dial', advice: expect.stringMatching(/^nothing listens on port/) });
});

it('does not doubt a key that has been shown to be right', async () => {
  const known = { podsocks: { version: '1.2.3' }, features: [] };
  const addresses = json({ answers: [{ data: '10.96.0.1' }] });
  const { link } = await start(asked => answerInformation(asked, known), addresses, json({ allowed: true }), end);
  expect((await findings(link)).at(-1)).toMatchObject({
    stage: 'dial',
    found: 'web.default:80 was asked for, and the server ended the connection',
    advice: expect.not.stringContaining('URL'),
  });
});

describe('the first sign of a stream', () => {
  it.each([
    ['answer', (stream: PassThrough) => void stream.write('x')],
    ['end', (stream: PassThrough) => void stream.end()],
    ['end', (stream: PassThrough) => void stream.destroy()],
    ['end', (stream: PassThrough) => void stream.destroy(new Error('ECONNRESET'))],
  ])('is %s', async (sign, say) => {
    const stream = new PassThrough();
    const first = firstSign(stream);
    say(stream);
    expect(await first).toBe(sign);
    expect(stream.destroyed).toBe(true);
  });

  it('may be an answer that is refused', async () => {
    const stream = new PassThrough();
    const first = firstSign(stream);
    stream.destroy(new PodsocksError('ERR_TIMESTAMP', 'old'));
    await expect(first).rejects.toThrow('old');
  });

  it('is none where nothing comes for a while', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const stream = new PassThrough();
    const first = firstSign(stream);
    vi.runAllTimers();
    expect(await first).toBe('none');
    expect(stream.destroyed).toBe(true);
  });
});

describe('what the information host says', () => {
  it('does nothing to a terminal', async () => {
    const { link } = await start(info, json({ answers: [{ data: '\u001b[2J10.0.0.1' }, null] }), end);
    const dns = (await findings(link)).find(({ stage }) => stage === 'dns');
    expect(dns).toMatchObject({ result: 'ok', found: 'web.default is ?[2J10.0.0.1, undefined' });
  });

  it('of a name that the policy denies is the policy', async () => {
    const { link } = await start(info, json({ error: { code: 'denied', message: 'web.default: not allowed' } }, 403));
    const found = await findings(link);
    expect(found.at(-1)).toMatchObject({ stage: 'policy', result: 'failed', found: 'web.default: not allowed' });
    expect(exitCodeOf([{ server: '', findings: found }])).toBe(16);
  });

  it('that it measures for somebody else is no lack of a measure: it is asked again', async () => {
    const zeros = ({ socket, seal }: Asked) => {
      const length = 4 * 1024 * 1024;
      socket.write(seal(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`));
      for (let sent = 0; sent < length; sent += 8192) socket.write(seal(Buffer.alloc(8192)));
    };
    const { link } = await start(info, info, json({ error: { code: 'busy' } }, 429), zeros);
    const last = (await findings(link, { target: undefined })).at(-1);
    expect(last).toMatchObject({ stage: 'throughput', result: 'ok', found: expect.stringMatching(/MB\/s down$/) });
    const busy = json({ error: { code: 'busy' } }, 429);
    const { link: other } = await start(info, info, busy, busy);
    expect((await findings(other, { target: undefined })).at(-1)?.found).toMatch(/is being measured by somebody else/);
  });

  it('is of no use where it is cut off', async () => {
    const { link } = await start(({ socket, seal }) => {
      socket.end(seal('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{'));
    });
    await expect(askInformation(link, '/v1/info')).rejects.toMatchObject({
      code: 'ERR_HEADER',
      message: 'the answer has begun, and was cut off',
    });
  });

  it('is of no use where it stands still', async () => {
    const late = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => late.signal);
    onTestFinished(() => timeout.mockRestore());
    const { link } = await start(({ socket, seal }) => {
      socket.write(seal('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{'));
    });
    const begun = vi.spyOn(IncomingMessage.prototype, 'setEncoding').mockImplementationOnce(function (this: never) {
      setImmediate(() => late.abort(new DOMException('late', 'TimeoutError')));
      return this;
    });
    onTestFinished(() => begun.mockRestore());
    await expect(askInformation(link, '/v1/info')).rejects.toMatchObject({
      code: 'ERR_HEADER',
      message: 'the answer has begun, and does not come to its end',
    });
  });
});

it('has nothing to say of Services where a proxy is between here and the server', async () => {
  const refused = new PodsocksError('ERR_DIAL', 'the proxy proxy:3128 cannot be reached', {
    cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
  });
  const link = examinedServer(fakeEntry(), { cryptoBackend: 'auto' }, () => Promise.reject(refused), 'the proxy p');
  expect((await findings(link)).at(-1)).toMatchObject({
    stage: 'tcp',
    result: 'failed',
    advice: expect.stringMatching(/^look at the proxy p: whether it runs/),
  });
});
