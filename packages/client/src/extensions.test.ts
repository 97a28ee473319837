import { createLogger } from '@podsocks/shared/runtime/log';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Extensions, type ExtensionsOptions } from './extensions.ts';
import type { ProbeOutcome } from './server-probe.ts';
import { knownServer } from './servers/known-server-fixtures.ts';

const PODSOCKS: ProbeOutcome = {
  kind: 'podsocks',
  server: knownServer(),
  roundTrip: 7,
};
const OLDER: ProbeOutcome = {
  kind: 'podsocks',
  server: knownServer({ domain: undefined, hasConnectStatus: false }),
  roundTrip: 7,
};
const PLAIN: ProbeOutcome = { kind: 'plain', roundTrip: 7 };
const SILENT: ProbeOutcome = { kind: 'unknown', reason: 'no answer within 5 s' };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What is known of a server whose answers the test gives. */
function extensions(options: Partial<ExtensionsOptions> = {}) {
  const asked: { answer: (outcome: ProbeOutcome) => Promise<void>; signal: AbortSignal }[] = [];
  const lines: string[] = [];
  const log = createLogger({
    ...{ level: 'info', format: 'json', name: 'test' },
    destination: { write: (line: string) => void lines.push(JSON.parse(line).msg) },
  });
  const known = new Extensions({
    probe: signal =>
      new Promise(resolve => {
        asked.push({
          signal,
          answer: async outcome => {
            resolve(outcome);
            await vi.advanceTimersByTimeAsync(0);
          },
        });
      }),
    log,
    now: () => Date.now(),
    ...options,
  });
  return { known, asked, lines };
}

describe('a server', () => {
  it.each<[string, ProbeOutcome, boolean, string]>([
    ['that is podsocks', PODSOCKS, true, 'the server is podsocks 1.2.3, cluster domain cluster.local'],
    ['without connect status', OLDER, false, 'the server is podsocks 1.2.3: the answer to a connect is given before'],
    ['of another kind', PLAIN, false, 'plain Shadowsocks server: the answer to a connect is given before'],
    ['that says nothing', SILENT, false, 'the server does not say what it is (no answer within 5 s)'],
  ])('%s', async (_, outcome, expected, line) => {
    const { known, asked, lines } = extensions();
    void known.ask();
    await asked[0]!.answer(outcome);
    expect(await known.wantsStatus()).toBe(expected);
    expect(asked).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining(line)]);
  });

  it('is awaited by the first connections, for a second from when it was asked', async () => {
    const { known, asked } = extensions();
    void known.ask();
    await vi.advanceTimersByTimeAsync(400);
    let waited: boolean | undefined;
    void known.wantsStatus().then(wants => {
      waited = wants;
    });
    await vi.advanceTimersByTimeAsync(599);
    expect(waited).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(waited).toBe(false);
    expect(await known.wantsStatus()).toBe(false); // the second is over
    await asked[0]!.answer(PODSOCKS);
    expect(await known.wantsStatus()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that answers in time lets them go at once', async () => {
    const { known, asked } = extensions();
    void known.ask();
    const waiting = [known.wantsStatus(), known.wantsStatus()];
    await asked[0]!.answer(PODSOCKS);
    expect(await Promise.all(waiting)).toEqual([true, true]);
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['podsocks', PODSOCKS, 30_000],
    ['plain', PLAIN, 30_000],
    ['silent', SILENT, 5_000],
  ] as const)(
    'that was %s is asked again by a connection after some time, which does not wait',
    async (_, was, after) => {
      const { known, asked } = extensions();
      void known.ask();
      await asked[0]!.answer(was);
      await vi.advanceTimersByTimeAsync(after - 1);
      await known.wantsStatus();
      expect(asked).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(await known.wantsStatus()).toBe(was === PODSOCKS);
      await known.wantsStatus();
      expect(asked).toHaveLength(2);
      await asked[1]!.answer(was === PODSOCKS ? PLAIN : PODSOCKS);
      expect(await known.wantsStatus()).toBe(was !== PODSOCKS);
    },
  );

  it('that sends statuses is not asked', async () => {
    const { known, asked } = extensions();
    void known.ask();
    await asked[0]!.answer(PODSOCKS);
    for (let count = 0; count < 10; count++) {
      await vi.advanceTimersByTimeAsync(29_000);
      expect(await known.wantsStatus()).toBe(true);
      known.proven();
    }
    expect(asked).toHaveLength(1);
  });

  it('that did not send one is doubted until it is found to be podsocks again', async () => {
    const { known, asked, lines } = extensions();
    void known.ask();
    await asked[0]!.answer(PODSOCKS);
    known.doubt();
    known.doubt();
    expect(asked).toHaveLength(2);
    const waiting = known.wantsStatus();
    await asked[1]!.answer(PLAIN);
    expect(await waiting).toBe(false);
    known.proven(); // of a connection from before
    await vi.advanceTimersByTimeAsync(30_000);
    await known.wantsStatus();
    await asked[2]!.answer(PODSOCKS);
    expect(await known.wantsStatus()).toBe(true);
    expect(lines.map(line => line.slice(0, 21))).toEqual([
      'the server is podsock',
      'the server is a plain',
      'the server is podsock',
    ]);
  });

  it('that says it is podsocks, and sends no status, is taken for a plain one after three times', async () => {
    const { known, asked, lines } = extensions();
    void known.ask();
    for (let count = 0; count < 3; count++) {
      await asked[count]!.answer(PODSOCKS);
      expect(await known.wantsStatus()).toBe(true);
      known.doubt();
      known.doubt(); // several connections may fail at once
    }
    await asked[3]!.answer(PODSOCKS);
    expect(await known.wantsStatus()).toBe(false);
    expect(lines.filter(line => line.includes('taking it for a plain one'))).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await known.wantsStatus()).toBe(true); // one more
    known.proven();
    for (let count = 4; count < 6; count++) {
      known.doubt();
      await asked[count]!.answer(PODSOCKS);
      expect(await known.wantsStatus()).toBe(true);
    }
  });

  it('is asked nothing more once it is closed, and what it says is not heard', async () => {
    const { known, asked, lines } = extensions();
    void known.ask();
    known.close();
    expect(asked[0]!.signal.aborted).toBe(true);
    await asked[0]!.answer(PODSOCKS);
    void known.ask();
    expect(asked).toHaveLength(1);
    expect(lines).toEqual([]);
  });

  it('is known by what it said last, also while it is silent, and not any more once it is a plain one twice', async () => {
    const news: boolean[] = [];
    const { known, asked } = extensions({ answered: (_, isNews) => void news.push(isNews) });
    const answer = async (outcome: ProbeOutcome) => {
      void known.ask();
      await asked.at(-1)!.answer(outcome);
      return known.known?.version;
    };
    const later: ProbeOutcome = { ...PODSOCKS, server: knownServer({ clockAhead: 3 }), roundTrip: 9 };
    const versions = [];
    for (const outcome of [PODSOCKS, later, SILENT, PLAIN, PODSOCKS, PLAIN, PLAIN, PLAIN])
      versions.push(await answer(outcome));
    expect(versions).toEqual(['1.2.3', '1.2.3', '1.2.3', '1.2.3', '1.2.3', '1.2.3', undefined, undefined]);
    expect(news).toEqual([true, false, false, false, false, false, true, false]);
  });

  it('has its name in the log where there are others', async () => {
    const { known, asked, lines } = extensions({ name: 'berlin (10.0.0.1:8388)' });
    void known.ask();
    await asked[0]!.answer(PLAIN);
    expect(lines[0]).toMatch(/^the server berlin \(10\.0\.0\.1:8388\) is a plain Shadowsocks server/);
  });
});
