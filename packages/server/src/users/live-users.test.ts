import { identityHash } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import type { User } from '@podsocks/shared/crypto/stream';
import { createLogger } from '@podsocks/shared/runtime/log';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Sessions } from '../sessions/sessions.ts';
import { LiveUsers } from './live-users.ts';
import type { ServerUser } from './user.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

const key = (byte: number) => new Uint8Array(32).fill(byte);
const [ada, ben, cid]: ServerUser[] = [
  { name: 'ada', key: key(1) },
  { name: 'ben', key: key(2) },
  { name: 'cid', key: key(3) },
];
const log = createLogger({ level: 'silent', format: 'json', name: 'test' });

function start(users: readonly ServerUser[], { method = '2022-blake3-aes-256-gcm', main = key(9) } = {}) {
  const sessions = new Sessions([]);
  const live = new LiveUsers({ method: methodNamed(method), key: main, users, usersPath: 'x', sessions, log });
  const ended: string[] = [];
  const open = (user: string) => {
    const asked = { user, client: { address: '192.0.2.1', port: 1 }, protocol: 'tcp', target: undefined } as const;
    const session = sessions.begin(asked, { bytesUp: 0, bytesDown: 0 }, () => {
      ended.push(user);
      session.close('shutdown');
    });
    return session;
  };
  const find = ({ key: its }: ServerUser) => live.keyring.byIdentity(identityHash(its)) as User;
  return { live, open, ended, find };
}

describe('users', () => {
  it('come and go, and only those who go lose what they have open', () => {
    const { live, open, ended, find } = start([ada!, ben!]);
    for (const name of ['ada', 'ben', 'ben']) open(name);
    const before = find(ada!);
    expect(live.replace([{ ...ada!, groups: ['x'] }, cid!])).toEqual({
      added: ['cid'],
      revoked: ['ben'],
      changed: ['ada'],
    });
    expect(ended).toEqual(['ben', 'ben']);
    expect(find(ada!)).toBe(before); // for what is remembered of their UDP sessions
    expect(find(ben!)).toBeUndefined();
    expect(find(cid!)?.name).toBe('cid');
    expect(live.size).toBe(2);
  });

  it('with another key are others', () => {
    const { live, open, ended, find } = start([ada!]);
    open('ada');
    const before = find(ada!);
    expect(live.replace([{ name: 'ada', key: key(4) }]).revoked).toEqual(['ada']);
    expect(ended).toEqual(['ada']);
    expect(find(ada!)).toBeUndefined();
    expect(live.objection(before)?.message).toMatch(/was removed a moment ago, or has another key/);
    expect(live.objection(find({ ...ada!, key: key(4) }))).toBeUndefined();
  });

  it('who are back soon are the same, so that their datagrams cannot be replayed', () => {
    const { live, find } = start([ada!, ben!]);
    const before = find(ada!);
    live.replace([ben!]);
    live.replace([{ name: 'ada', key: key(4) }, ben!]);
    live.replace([ada!, ben!]);
    expect(find(ada!)).toBe(before);
    live.replace([ben!]);
    vi.advanceTimersByTime(120_000);
    live.replace([ada!, ben!]);
    expect(find(ada!)).not.toBe(before);
  });

  it('who are removed between their first bytes and their last may not begin', () => {
    const { live, find } = start([ada!, ben!]);
    const [one, other] = [find(ada!), find(ben!)];
    live.replace([ben!]);
    expect(live.objection(one)?.code).toBe('ERR_DENIED');
    expect(live.objection(other)).toBeUndefined();
  });

  it('of SIP004 include the one whose password is the server’s, who stays; nobody is tried who is gone', () => {
    const { live } = start([ada!, ben!], { method: 'aes-256-gcm' });
    const names = () => Array.from(live.keyring.candidates('192.0.2.1'), ({ name }) => name);
    const [, its] = live.keyring.candidates('192.0.2.1');
    live.keyring.matched('192.0.2.1', its!);
    expect(names()).toEqual(['ada', 'default', 'ben']);
    live.replace([ben!, cid!]);
    expect(names()).toEqual(['default', 'ben', 'cid']);
    const [first] = live.keyring.candidates('192.0.2.1');
    expect(live.objection(first!)).toBeUndefined();
    expect(live.objection(its!)).toBeDefined();
  });

  it('of SIP004 who stay are still tried first', () => {
    const { live } = start([ada!, ben!], { method: 'aes-256-gcm' });
    const its = [...live.keyring.candidates('192.0.2.1')].find(({ name }) => name === 'ben')!;
    live.keyring.matched('192.0.2.1', its);
    live.replace([ben!, cid!]);
    const [first] = live.keyring.candidates('192.0.2.1');
    expect(first).toBe(its);
  });

  it('expire', () => {
    const expires = Date.now() + 10_000;
    const { live, open, ended, find } = start([{ ...ada!, expires }, ben!]);
    open('ada');
    open('ben');
    vi.advanceTimersByTime(9_999);
    expect(ended).toEqual([]);
    expect(live.objection(find(ada!))).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(live.objection(find(ada!))?.message).toBe('user "ada" has expired (1970-01-01T00:16:50Z)');
    vi.advanceTimersByTime(1_000);
    expect(ended).toEqual(['ada']);
    live.replace([{ ...ada!, expires: expires + 60_000 }, ben!]);
    expect(live.objection(find(ada!))).toBeUndefined();
    open('ada');
    live.replace([{ ...ada!, expires }, ben!]);
    expect(ended).toEqual(['ada', 'ada']);
    live.close();
  });

  it('have so much at a time, and what changes holds for the next', () => {
    const { live, open, find } = start([{ ...ada!, maxConnections: 2 }, ben!]);
    const first = open('ada');
    expect(live.excess(find(ada!))).toBeUndefined();
    open('ada');
    expect(live.excess(find(ada!))).toMatchObject({
      code: 'ERR_LIMIT',
      message: expect.stringContaining('has 2 conn'),
    });
    expect(live.excess(find(ben!))).toBeUndefined();
    live.replace([{ ...ada!, maxConnections: 3 }, ben!]);
    expect(live.excess(find(ada!))).toBeUndefined();
    live.replace([{ ...ada!, maxConnections: 1 }, ben!]);
    first.close('client');
    expect(live.excess(find(ada!))).toBeDefined();
    live.replace([ada!, ben!]);
    expect(live.excess(find(ada!))).toBeUndefined();
  });

  it('have one bandwidth for all that they do, which may change', () => {
    const { live, find } = start([{ ...ada!, bandwidth: 1000 }, ben!]);
    const limit = live.bandwidthOf(find(ada!))!;
    expect(live.bandwidthOf(find(ada!))).toBe(limit);
    expect(limit.pass(10_000)).toBe(false);
    const bens = live.bandwidthOf(find(ben!))!;
    expect(bens.pass(1e9)).toBe(true);
    live.replace([ada!, { ...ben!, bandwidth: 1000 }]);
    expect(limit.pass(1e9)).toBe(true);
    expect(bens.pass(1e9)).toBe(false);
    live.close();
  });

  it('keep their limits when they get another key', () => {
    const { live, find } = start([{ ...ada!, bandwidth: 1000, maxConnections: 1 }]);
    const before = live.bandwidthOf(find(ada!))!;
    const other = { ...ada!, key: key(4), bandwidth: 1000, maxConnections: 1 };
    live.replace([other]);
    const limit = live.bandwidthOf(find(other))!;
    expect(limit).not.toBe(before);
    expect(limit.pass(10_000)).toBe(false);
    live.replace([{ ...other, key: key(5), bandwidth: 2000 }]);
    expect(live.bandwidthOf({ name: 'ada', key: key(5) })!.pass(10_000)).toBe(false);
    live.close();
  });

  it('who stay the same and have no bandwidth cost nothing', () => {
    const sessions = new Sessions([]);
    const method = methodNamed('aes-256-gcm');
    const live = new LiveUsers({ method, key: undefined, users: [ada!], sessions, log });
    expect(live.bandwidthOf(ada!)).toBeUndefined();
    live.close();
  });
});
