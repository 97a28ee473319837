import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../runtime/log.ts';
import { type Drop, dropLog, formatOrigin } from './drop-log.ts';

const CLIENT = { address: '192.0.2.1', port: 40_000 };
const ALICE = 'alice';

function logging() {
  const records: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'debug',
    format: 'json',
    name: 'test',
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
  });
  return { report: dropLog(log), records };
}

const drop = (reason: Drop['reason'], user?: Drop['user'], client = CLIENT): Drop => ({ reason, client, user });

describe('the log of drops', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('has the first of a reason at once: whose it was, and why', () => {
    const { report, records } = logging();
    report(drop('denied', ALICE));
    report(drop('authentication'));
    expect(records).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'datagram dropped: its target is not allowed',
        ...{ count: 1, reason: 'denied', client: '192.0.2.1:40000', user: 'alice' },
      }),
      expect.objectContaining({
        msg: 'datagram dropped: no key opens it',
        ...{ count: 1, reason: 'authentication', client: '192.0.2.1:40000' },
      }),
    ]);
    expect(records[1]).not.toHaveProperty('user');
  });

  it('sums up those that follow within ten seconds, each reason for itself, with the latest client', () => {
    const { report, records } = logging();
    for (let count = 0; count < 1000; count++) report(drop('authentication'));
    report(drop('replay', ALICE));
    for (let count = 0; count < 5; count++) report(drop('replay', ALICE, { address: '2001:db8::1', port: 7 }));
    expect(records.map(({ reason, count }) => [reason, count])).toEqual([
      ['authentication', 1],
      ['replay', 1],
    ]);
    vi.advanceTimersByTime(9_999);
    expect(records).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(records.slice(2).map(({ reason, count, client }) => [reason, count, client])).toEqual([
      ['authentication', 999, '192.0.2.1:40000'],
      ['replay', 5, '[2001:db8::1]:7'],
    ]);
  });

  it('says nothing where nothing came, and begins anew', () => {
    const { report, records } = logging();
    report(drop('full', ALICE));
    vi.advanceTimersByTime(60_000);
    expect(records).toHaveLength(1);
    report(drop('full', ALICE));
    expect(records.map(({ count }) => count)).toEqual([1, 1]);
  });
});

it('an origin of IPv6 stands in brackets', () => {
  expect(formatOrigin({ address: '::1', port: 1 })).toBe('[::1]:1');
  expect(formatOrigin(CLIENT)).toBe('192.0.2.1:40000');
});
