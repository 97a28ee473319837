import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import { DeniedError, refusalOf } from './refusal.ts';
import type { Refusal, Route } from './session.ts';
import { relayEnd } from './session-end.ts';
import { recordedSession } from './session-fixtures.ts';
import { Sessions } from './sessions.ts';

const route = (number: number): Route => ({
  target: targetOf(`10.0.0.${number}`, 80),
  address: `10.0.0.${number}`,
  port: 80,
  rule: 'default',
});

const refusal = (number: number): Refusal => ({
  reason: 'policy',
  message: 'no',
  target: targetOf('10.0.1.1', number),
});

describe('a session', () => {
  it('is opened with its first route and closed once', () => {
    const { session, heard } = recordedSession();
    session.reached(route(1));
    session.reached(route(2));
    session.close('client');
    session.close('target');
    session.reached(route(3));
    session.refused(refusal(1));
    expect(heard).toEqual([{ event: 'opened' }, { event: 'closed', end: 'client' }]);
    expect(session.routes).toEqual([route(1), route(2)]);
  });

  it('that reached nothing is not closed: nobody heard of it', () => {
    const { session, heard } = recordedSession();
    session.refused(refusal(1));
    session.close('client');
    expect(heard).toEqual([{ event: 'refused', refusal: refusal(1) }]);
  });

  it('remembers so many routes, and that there were more', () => {
    const { session } = recordedSession();
    for (let i = 0; i < 32; i++) session.reached(route(i));
    expect([session.hasReached('10.0.0.31', 80), session.hasReached('10.0.0.31', 81)]).toEqual([true, false]);
    expect(session.hasMoreRoutes).toBe(false);
    session.reached(route(99));
    expect([session.routes.length, session.hasMoreRoutes, session.hasReached('10.0.0.98', 80)]).toEqual([
      32,
      true,
      true,
    ]);
  });

  it('tells of each refused target once, and of so many only', () => {
    const { session, heard } = recordedSession();
    for (let i = 0; i < 50; i++) for (let again = 0; again < 2; again++) session.refused(refusal(i));
    expect(heard).toHaveLength(32);
  });

  it('that was stopped ended for that reason, whatever its server saw', () => {
    let stopped = 0;
    const { session, heard } = recordedSession({}, () => stopped++);
    session.reached(route(1));
    session.stop('revoked');
    session.close('shutdown');
    session.stop('revoked');
    expect(heard.at(-1)).toEqual({ event: 'closed', end: 'revoked' });
    expect(stopped).toBe(1);
  });
});

describe('sessions', () => {
  const client = { address: '192.0.2.1', port: 1 };
  const begin = (sessions: Sessions, user: string, stop = () => {}) =>
    sessions.begin({ user, client, protocol: 'tcp', target: undefined }, { bytesUp: 0, bytesDown: 0 }, stop);

  it('are those of users until they close', () => {
    const sessions = new Sessions([]);
    const [one, two, other] = [begin(sessions, 'ada'), begin(sessions, 'ada'), begin(sessions, 'ben')];
    expect(new Set([one.id, two.id, other.id]).size).toBe(3);
    expect([...sessions.users]).toEqual(['ada', 'ben']);
    one.close('client');
    other.close('client');
    expect([...sessions.users]).toEqual(['ada']);
    expect([...sessions.of('ada')]).toEqual([two]);
    expect(sessions.of('ben').size).toBe(0);
  });

  it('of one user are stopped, and of nobody else', () => {
    const sessions = new Sessions([]);
    const stopped: string[] = [];
    for (const user of ['ada', 'ben', 'ada']) {
      const session = begin(sessions, user, () => {
        stopped.push(user);
        session.close('shutdown');
      });
    }
    sessions.stopUser('ada', 'revoked');
    expect(stopped).toEqual(['ada', 'ada']);
    expect([...sessions.users]).toEqual(['ben']);
  });

  it('are closed when none is left that has reached something', async () => {
    const sessions = new Sessions([]);
    const [one, two, unheard] = [begin(sessions, 'ada'), begin(sessions, 'ben'), begin(sessions, 'ada')];
    for (const session of [one, two]) session.reached(route(1));
    let isClosed = false;
    const told = Promise.all([sessions.closed(), sessions.closed()]).then(() => {
      isClosed = true;
    });
    one.close('client');
    await new Promise(setImmediate);
    expect(isClosed).toBe(false);
    two.close('client');
    await told;
    await sessions.closed();
    unheard.close('client');
  });
});

describe('refusalOf', () => {
  const dialError = (code: string) =>
    new PodsocksError('ERR_DIAL', 'x', { cause: Object.assign(new Error(), { code }) });

  it.each([
    [
      new DeniedError({ host: 'a', port: 1 }, 'rule 7'),
      { reason: 'policy', message: 'a:1: not allowed (rule 7)', rule: 'rule 7' },
    ],
    [new PodsocksError('ERR_TIMEOUT', 'late'), { reason: 'timeout', message: 'late' }],
    [dialError('ECONNREFUSED'), { reason: 'refused' }],
    [dialError('ENOTFOUND'), { reason: 'name' }],
    [dialError('EMFILE'), { reason: 'descriptors' }],
    [dialError('EWHATEVER'), { reason: 'other' }],
    [new TypeError('a fault'), { reason: 'other' }],
  ])('of %s', (error, expected) => {
    expect(refusalOf(error)).toMatchObject(expected);
  });
});

describe('relayEnd', () => {
  const reset = Object.assign(new Error(), { syscall: 'read', code: 'ECONNRESET' });

  it.each([
    ['client', undefined, 'client'],
    ['target', undefined, 'target'],
    ['client', reset, 'client-reset'],
    ['target', reset, 'target-reset'],
    [undefined, new PodsocksError('ERR_TIMEOUT', ''), 'idle'],
    [undefined, new PodsocksError('ERR_CLOSED', ''), 'shutdown'],
    ['client', new PodsocksError('ERR_AUTHENTICATION', ''), 'broken'],
    ['client', new PodsocksError('ERR_TRUNCATED', ''), 'broken'],
  ] as const)('by %s with %s is %s', (endedBy, error, expected) => {
    expect(relayEnd({ endedBy, error })).toBe(expected);
  });
});
