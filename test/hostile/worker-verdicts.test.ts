import { prepareServer } from '@podsocks/server/prepare-server';
import { SharedReplays } from '@podsocks/server/workers/shared-replays';
import type { Verdict } from '@podsocks/shared/crypto/replay-filter';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, it, onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from '../support/allow-loopback.ts';
import { serves } from './support/attacks.ts';
import { COMMON, freshKeys, LOOPBACK, type Scheme, underEachScheme } from './support/ends.ts';
import { requestTo } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { startTestEcho } from './support/witness.ts';

/* A worker does nothing for a request before the primary has spoken, whatever happens meanwhile. */

it.each([
  ['replayed', 'ERR_REPLAY'],
  ['full', 'ERR_LIMIT'],
] as const)('what is %s is absorbed', (verdict, code) =>
  underEachScheme(async scheme => {
    const { port, keys, codes, primary } = await startWorker(scheme, { handshakeTimeout: 1_000 });
    const echo = await startTestEcho();
    primary.says(verdict);
    const flight = requestTo(scheme.method, keys.client, echo.port).seal('hello');
    const waiting = await probe(port, flight);
    expect(waiting).toMatchObject({ bytes: Buffer.alloc(0), end: 'fin' });
    expect(waiting.after).toBeGreaterThanOrEqual(1_000);
    const ended = await probe(port, requestTo(scheme.method, keys.client, echo.port).seal('hello'), { fin: true });
    expect(ended).toMatchObject({ bytes: Buffer.alloc(0), end: 'fin' });
    expect(echo.connections()).toBe(0);
    expect(codes()).toContain(code);
    // Only their own: were there salts of answers too, replays could push what they repeat out of the filter.
    expect(primary.salts()).toBe(2);
  }),
);

it('one that waits is a stranger, and when its deadline passes nothing is dialled for it', () =>
  underEachScheme(async scheme => {
    const { port, keys, primary } = await startWorker(scheme, { handshakeTimeout: 400 });
    const echo = await startTestEcho();
    primary.hesitates();
    const { bytes, end } = await probe(port, requestTo(scheme.method, keys.client, echo.port).seal('hello'));
    expect({ bytes: bytes.length, end }).toEqual({ bytes: 0, end: 'fin' });
    primary.says('fresh');
    expect(await serves({ scheme, keys, port }, echo.port)).toBe(true);
    expect(echo.connections()).toBe(1);
  }));

it('bytes that come meanwhile, and the end, are not lost', () =>
  underEachScheme(async scheme => {
    const { port, keys, primary } = await startWorker(scheme, {});
    const echo = await startTestEcho();
    primary.hesitates();
    const request = requestTo(scheme.method, keys.client, echo.port);
    const socket = openSocket(port);
    socket.write(request.seal('one '));
    await primary.isAsked();
    socket.end(request.seal('two'));
    await new Promise(resolve => setTimeout(resolve, 50));
    primary.says('fresh');
    const { bytes, end } = await sight(socket);
    const opener = request.opener();
    const out = Buffer.alloc(opener.openedLength(bytes.length));
    expect(String(out.subarray(0, opener.open(out, 0, bytes, 0, bytes.length)))).toBe('one two');
    expect(end).toBe('fin');
  }));

/** A worker that listens itself, with the test in the place of the primary. */
async function startWorker(scheme: Scheme, settings: { readonly handshakeTimeout?: number }) {
  const keys = freshKeys(scheme);
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ level: 'warn', format: 'json', name: 'hostile', destination });

  let verdict: Verdict | undefined = 'fresh';
  const unanswered: number[] = [];
  let salts = 0;
  const asked = new EventTarget();
  const answer = () => {
    while (verdict !== undefined && unanswered.length > 0) replays.answer(Array(unanswered.shift()!).fill(verdict));
  };
  const replays = new SharedReplays(({ length }) => {
    unanswered.push(length);
    salts += length;
    asked.dispatchEvent(new Event('asked'));
    answer();
  });
  const primary = {
    says(next: Verdict) {
      verdict = next;
      answer();
    },
    hesitates() {
      verdict = undefined;
    },
    salts: () => salts,
    isAsked: () => new Promise(resolve => asked.addEventListener('asked', resolve, { once: true })),
  };
  const own = {
    listen: LOOPBACK,
    method: scheme.method,
    workers: 1,
    udpTimeout: 300_000,
    policy: ALLOW_LOOPBACK,
    ...keys.server,
  };
  const listener = prepareServer({ ...COMMON, ...own, ...settings }, { log, replays });
  await listener.listen();
  onTestFinished(() => listener.close());
  const codes = () => lines.map(line => JSON.parse(line).code);
  return { port: listener.addresses[0]!.port, keys, codes, primary };
}
