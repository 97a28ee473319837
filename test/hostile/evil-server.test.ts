import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeResponse, responseFixedBytes } from '@podsocks/shared/wire/sip022-header';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../support/free-port.ts';
import {
  freshKey,
  freshKeys,
  type Scheme,
  SIP004,
  SIP022,
  SIP023,
  startLocal,
  underEachScheme,
} from './support/ends.ts';
import { type Caught, startPrey } from './support/evil-server.ts';
import { sealedUnits, unixTime } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { SOCKS5_GREETING, SOCKS5_SUCCESS, socks5Connect, socksSocket } from './support/socks.ts';
import { Source } from './support/source.ts';

/*
 * A server, or somebody between, may answer anything. The program behind ss-local must get what an honest server has
 * sealed for this very request, or a reset; and ss-local goes on serving.
 */

// A clock that stands still: or "31 s ahead" would be 30 by the time it arrives.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

describe('an answer that no honest server gives', () => {
  it('is a reset for the program, and does not touch the next one', () =>
    underEachScheme(async scheme => {
      const answers = evilAnswers(scheme);
      const prey = await startPrey(scheme, caught => {
        const [, answer] = answers[caught.request.target.port - 1] ?? [];
        if (answer) caught.socket.write(answer(caught));
        else caught.socket.end(caught.answer()('an honest answer'));
      });
      for (const [index, [name]] of answers.entries()) {
        expect({ name, ...(await prey.sees(index + 1)) }).toEqual({ name, data: '', end: 'rst' });
        expect(await prey.sees(0xffff)).toEqual({ data: 'an honest answer', end: 'fin' });
      }
    }));

  it.each([SIP004, SIP022, SIP023])('is one that was given to another request, $name', isOneOfAnotherRequest);
});

async function isOneOfAnotherRequest(scheme: Scheme): Promise<void> {
  let recorded: Buffer | undefined;
  const prey = await startPrey(scheme, ({ socket, answer }) => {
    recorded ??= answer()('yesterday');
    socket.end(recorded);
  });
  expect(await prey.sees(80)).toEqual({ data: 'yesterday', end: 'fin' });
  expect(await prey.sees(80)).toEqual({ data: '', end: 'rst' });
}

function evilAnswers({ method }: Scheme): [name: string, bytes: (caught: Caught) => Uint8Array][] {
  /** Begins with an honest chunk, in the same segment as what is wrong. */
  const authentic = ({ request }: Caught, ...units: Uint8Array[]) => {
    const good = Buffer.from('good');
    const length = Uint8Array.of(0, good.length);
    const fixed = new Uint8Array(responseFixedBytes(method.keyBytes));
    encodeResponse(fixed, unixTime(), request.salt, good.length);
    const keys = { key: request.user.key, identityKeys: [] };
    return sealedUnits(method, keys, [method.generation === 'sip004' ? length : fixed, good, ...units]);
  };
  const anyScheme: ReturnType<typeof evilAnswers> = [
    ['garbage', () => randomBytes(5_000)],
    ['a megabyte of garbage', () => randomBytes(1024 * 1024)],
    ['HTTP', () => Buffer.from(`HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n${' '.repeat(200)}`)],
    ['the request itself', ({ flight }) => flight],
    [
      'another key',
      ({ answer, request }) => answer({ to: { ...request, user: { name: '', key: freshKey(method) } } })('hello'),
    ],
    ['an empty chunk', caught => authentic(caught, Uint8Array.of(0, 0))],
    ['garbage behind a good chunk', caught => Buffer.concat([authentic(caught), randomBytes(200)])],
  ];
  if (method.generation === 'sip004') {
    const evil = Buffer.from('evil');
    return [
      ...anyScheme,
      ['a high bit in a length', caught => authentic(caught, Uint8Array.of(0x40, evil.length), evil)],
    ];
  }
  return [
    ...anyScheme,
    ['a salt of no request', ({ answer, request }) => answer({ to: { ...request, salt: freshKey(method) } })('hello')],
    ['a clock 31 s behind', ({ answer }) => answer({ clockOffset: -31 })('hello')],
    ['a clock 31 s ahead', ({ answer }) => answer({ clockOffset: 31 })('hello')],
  ];
}

describe('a server that floods', () => {
  it('with garbage is reset at once', () =>
    underEachScheme(async scheme => {
      let server: ReturnType<typeof sight> | undefined;
      const prey = await startPrey(scheme, ({ socket }) => {
        server = sight(socket);
        new Source(socket, 'garbage').end().catch(() => {}); // which the reset cuts off
      });
      expect(await prey.sees(80)).toEqual({ data: '', end: 'rst' });
      expect((await server)?.end).toBe('rst');
    }));

  it('is not read while the program does not read', () =>
    underEachScheme(async scheme => {
      let source: Source | undefined;
      const prey = await startPrey(scheme, ({ socket, answer }) => {
        source = new Source(socket, 'flood', answer());
      });
      const program = socksSocket(prey.socksPort, 80, 'hello');
      program.pause();
      await expect.poll(() => source).toBeDefined();
      await source?.stalled();
      const seen = sight(program);
      program.resume();
      const sent = await source?.end();
      const { bytes } = await seen;
      expect(bytes.length - SOCKS5_SUCCESS.length).toBe(sent?.bytes);
    }));
});

describe('a server that', () => {
  it('sends one byte at a time is understood', () =>
    underEachScheme(async scheme => {
      const prey = await startPrey(scheme, async ({ socket, answer }) => {
        for (const byte of answer()('slowly')) {
          socket.write(Uint8Array.of(byte));
          await sleep(1);
        }
        socket.end();
      });
      expect(await prey.sees(80)).toEqual({ data: 'slowly', end: 'fin' });
    }));

  it('says nothing is given up, with a reset', () =>
    underEachScheme(async scheme => {
      const prey = await startPrey(scheme, () => {}, { timeout: 400 });
      expect(await prey.sees(80)).toEqual({ data: '', end: 'rst' });
    }));

  it('resets is a reset for the program, even between two chunks', () =>
    underEachScheme(async scheme => {
      let reset = () => {};
      const prey = await startPrey(scheme, ({ socket, answer, request }) => {
        reset = () => socket.resetAndDestroy();
        if (request.target.port === 1) reset();
        else socket.write(answer()('some of it'));
      });
      expect(await prey.sees(1)).toEqual({ data: '', end: 'rst' });
      expect(await prey.sees(2, () => reset())).toEqual({ data: 'some of it', end: 'rst' });
    }));

  it('is not there is a SOCKS failure', async () => {
    const { socksPort } = await startLocal(SIP022, freshKeys(SIP022).client, await freePort());
    const { bytes, end } = await probe(socksPort, Buffer.concat([SOCKS5_GREETING, socks5Connect(80)]));
    expect({ bytes: bytes.toString('hex'), end }).toEqual({ bytes: '050005010001000000000000', end: 'fin' });
  });

  it('is not there does not keep those who do not close', async () => {
    const settings = { handshakeTimeout: 400 };
    const { socksPort } = await startLocal(SIP022, freshKeys(SIP022).client, await freePort(), settings);
    const socket = openSocket(socksPort);
    socket.write(Buffer.concat([SOCKS5_GREETING, socks5Connect(80)]));
    // A write to a connection that the other side has closed is answered by RST; one that it only half closed is not.
    const ended = new Promise(resolve => socket.once('error', resolve));
    const writing = setInterval(() => socket.write('.'), 20);
    expect(await ended).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
    clearInterval(writing);
  });
});
