import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Inbox } from '../udp/uplink-fixtures.ts';
import { type Answer, askInformation } from './ask-server.ts';
import { examinedServer } from './examined-server.ts';
import { explainSilence } from './silence.ts';

vi.mock('./ask-server.ts');

/** Questions in the test's own hands. */
interface Question {
  readonly answer: (answer: Answer) => void;
  readonly fail: (error: Error) => void;
}

let asked: Inbox<Question>;
let count: number;

beforeEach(() => {
  asked = new Inbox();
  count = 0;
  vi.mocked(askInformation).mockImplementation(
    () =>
      new Promise((answer, fail) => {
        count++;
        asked.put({ answer, fail });
      }),
  );
});

const SILENT = new PodsocksError('ERR_TIMEOUT', 'no answer within 2.5 s');
const NOW = 1_700_000_000;

/** A server that is asked whatever the test answers. */
function link(name: string) {
  const method = methodNamed(name);
  const password = method.generation === 'sip022' ? Buffer.alloc(method.keyBytes, 1).toString('base64') : 'password';
  const server = { host: '127.0.0.1', port: 1, method, keys: clientKeys(method, password) };
  const examined = examinedServer(server, { cryptoBackend: 'auto' }, () => Promise.reject(new Error('dialled')));
  return { ...examined, services: { ...examined.services, unixTime: () => NOW } };
}

/** Twelve steps of 50 s and fourteen hours, each in both directions, and one other method with a key as long. */
const ATTEMPTS = 2 * (12 + 14) + 1;

describe('a silent server', () => {
  it('is asked sixteen times at once, and again with each that does not answer', async () => {
    const silence = explainSilence(link('2022-blake3-aes-256-gcm'));
    const first = await asked.take(16);
    await new Promise(setImmediate);
    expect(count).toBe(16);
    first[3]!.fail(SILENT);
    const next = await asked.next();
    await new Promise(setImmediate);
    expect(count).toBe(17);
    for (const question of [...first, next]) question.fail(SILENT);
    for (let failed = 17; failed < ATTEMPTS; failed++) (await asked.next()).fail(SILENT);
    expect(await silence).toEqual({ kind: 'key' });
    expect(count).toBe(ATTEMPTS);
  });

  it('is not asked any more once it has answered; who is asked already is waited for, and does not count', async () => {
    const silence = explainSilence(link('2022-blake3-aes-256-gcm'));
    const questions = await asked.take(16);
    const answer = { status: 200, body: { time: new Date((NOW + 120) * 1000).toISOString() } };
    questions[5]!.answer(answer);
    questions[6]!.answer({ status: 200, body: { time: new Date((NOW - 9000) * 1000).toISOString() } });
    for (const { fail } of questions) fail(SILENT);
    expect(await silence).toEqual({ kind: 'clock', behind: 120, answer });
    expect(count).toBe(16);
  });

  it.each([
    [0, 50],
    [1, -50],
    [2, 100],
    [15, -400],
  ])('that does not say what time it is is as far away as the clock of question %i: %i s', async (number, behind) => {
    const silence = explainSilence(link('2022-blake3-aes-256-gcm'));
    const questions = await asked.take(16);
    const answer = { status: 404, body: null };
    questions[number]!.answer(answer);
    for (const { fail } of questions) fail(SILENT);
    expect(await silence).toEqual({ kind: 'clock', behind, answer });
  });

  it.each([
    ['2022-blake3-aes-256-gcm', '2022-blake3-chacha20-poly1305', ATTEMPTS - 1],
    ['aes-256-gcm', 'chacha20-ietf-poly1305', 0],
  ])('that was given as %s may speak %s', async (given, spoken, before) => {
    const silence = explainSilence(link(given));
    for (let failed = 0; failed < before; failed++) (await asked.next()).fail(SILENT);
    (await asked.next()).answer({ status: 200, body: {} });
    for (const { fail } of asked.drain()) fail(SILENT);
    expect(await silence).toEqual({ kind: 'method', method: methodNamed(spoken) });
  });

  it('of older methods has no clock, and keys of another length are not tried', async () => {
    const silence = explainSilence(link('aes-128-gcm'));
    expect(await silence).toEqual({ kind: 'key' });
    expect(count).toBe(0);
  });

  it.each(['ERR_CLOSED', 'ERR_AUTHENTICATION', 'ERR_DIAL', 'ERR_HEADER'] as const)(
    'is not explained by %s, whatever has answered so',
    async code => {
      const silence = explainSilence(link('2022-blake3-aes-256-gcm'));
      (await asked.next()).fail(new PodsocksError(code, 'x'));
      for (let failed = 1; failed < ATTEMPTS; failed++) (await asked.next()).fail(SILENT);
      expect(await silence).toEqual({ kind: 'key' });
    },
  );

  it('does not hide a fault of the program', async () => {
    const silence = explainSilence(link('2022-blake3-aes-256-gcm'));
    (await asked.next()).fail(new TypeError('a fault'));
    await expect(silence).rejects.toThrow('a fault');
  });
});
