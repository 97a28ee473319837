import { describe, expect, it } from 'vitest';
import type { SessionRequest } from '../sessions/session.ts';
import { Sessions } from '../sessions/sessions.ts';
import { SessionCounts } from './session-counts.ts';

const route = { target: { host: 'a', port: 1 }, address: '10.0.0.1', port: 1, rule: 'default' };

function start(mostUsers?: number) {
  const counts = new SessionCounts(mostUsers);
  const sessions = new Sessions([counts]);
  const begin = (user: string, protocol: SessionRequest['protocol'] = 'tcp') => {
    const traffic = { bytesUp: 0, bytesDown: 0 };
    const client = { address: '192.0.2.1', port: 1 };
    return { traffic, session: sessions.begin({ user, client, protocol, target: undefined }, traffic, () => {}) };
  };
  return { counts, begin };
}

describe('the counts of sessions', () => {
  it('tell bytes of open sessions as they go, and of closed ones for ever', () => {
    const { counts, begin } = start();
    const [one, two] = [begin('ada'), begin('ada')];
    for (const { session } of [one, two]) session.reached(route as never);
    one.traffic.bytesUp = 5;
    two.traffic.bytesDown = 7;
    const total = { user: 'ada', protocol: 'tcp', opened: 2, open: 2, bytesUp: 5, bytesDown: 7 };
    expect(counts.totals()).toEqual([total]);
    expect(counts.totals()).toEqual([total]);
    one.session.close('client');
    two.traffic.bytesDown = 8;
    expect(counts.totals()).toEqual([{ ...total, open: 1, bytesDown: 8 }]);
    two.session.close('target-reset');
    expect(counts.totals()).toEqual([{ ...total, open: 0, bytesDown: 8 }]);
    expect(counts.ends).toMatchObject({ client: 1, 'target-reset': 1, target: 0 });
  });

  it('keep protocols apart, and time dials of connections only', () => {
    const { counts, begin } = start();
    begin('ada', 'udp').session.reached(route as never);
    expect(counts.dials.count).toBe(0);
    begin('ada', 'tcp').session.reached(route as never);
    expect(counts.dials.count).toBe(1);
    expect(counts.of('udp')).toMatchObject([{ user: 'ada', opened: 1 }]);
    expect(counts.of('tcp')).toMatchObject([{ user: 'ada', opened: 1 }]);
  });

  it('have refusals, which open nothing', () => {
    const { counts, begin } = start();
    const { session } = begin('ada');
    session.refused({ reason: 'name', message: '', target: undefined });
    session.close('shutdown');
    expect(counts.refusals).toMatchObject({ name: 1, policy: 0 });
    expect(counts.totals()).toEqual([]);
    expect(Object.values(counts.ends).every(count => count === 0)).toBe(true);
  });

  it('put those beyond the first users together, in both protocols', () => {
    const { counts, begin } = start(2);
    for (const user of ['ada', 'ben', 'cyd', 'dan', 'ada']) begin(user).session.reached(route as never);
    begin('cyd', 'udp').session.reached(route as never);
    expect(counts.of('tcp').map(({ user, opened }) => [user, opened])).toEqual([
      ['ada', 2],
      ['ben', 1],
      ['other', 2],
    ]);
    expect(counts.of('udp').map(({ user }) => user)).toEqual(['other']);
  });
});
