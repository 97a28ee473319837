import type { ServerConfig } from '@podsocks/server/config';
import { a, type FakeDns, reply, soa, startFakeDns, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { expect, it, onTestFinished } from 'vitest';
import { DatagramSession } from '../support/datagram-session.ts';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import { SIP023 } from './support/ends.ts';
import { reach, startPoliced, type UserName } from './support/policed.ts';

/*
 * Users × destinations × names, against what listens on each address: nothing denied is ever dialled. 127.1.0.0/16 stands for
 * the cluster, in it 127.1.66.0/24 is closed to all and 127.1.9.0/24 open to Alice.
 */

const OPEN = '127.1.0.1';
const CLOSED = '127.1.66.1';
const PAYMENTS = '127.1.9.1';
const OUTSIDE = '127.2.0.1';
const ALL = [OPEN, CLOSED, PAYMENTS, OUTSIDE];

const POLICY: ServerConfig['policy'] = {
  rules: [
    { action: 'deny', to: [parseNetwork('127.1.66.0/24')], from: 'closed' },
    {
      action: 'allow',
      users: ['alice'],
      to: [parseNetwork('127.1.9.0/24')],
      from: 'payments',
    },
    { action: 'deny', to: [parseNetwork('127.1.9.0/24')], from: 'not payments' },
    { action: 'deny', to: [{ kind: 'below', name: 'secret.test' }], from: 'secret names' },
    { action: 'allow', to: [parseNetwork('127.1.0.0/16')], from: 'cluster' },
  ],
  default: 'deny',
};

const ZONE = {
  'open.test': [OPEN],
  'closed.test': [CLOSED],
  'mapped-closed.test': [`::ffff:${CLOSED}`],
  'alias-closed.test': ['-> closed.test'],
  'mixed.test': [CLOSED, OPEN],
  'mixed-again.test': [OPEN, CLOSED, OUTSIDE],
  'db.payments.test': [PAYMENTS],
  'outside.test': [OUTSIDE],
  'x.secret.test': [OPEN],
};

type Row = readonly [host: string, alice: string | undefined, bob: string | undefined];

/** Which address each of them reaches; undefined where it is nobody's. */
const TABLE: readonly Row[] = [
  [OPEN, OPEN, OPEN],
  [CLOSED, undefined, undefined],
  [PAYMENTS, PAYMENTS, undefined],
  [OUTSIDE, undefined, undefined],
  [`::ffff:${OPEN}`, OPEN, OPEN],
  [`::ffff:${CLOSED}`, undefined, undefined],
  ['::ffff:7f01:4201', undefined, undefined],
  ['0:0:0:0:0:FFFF:7F01:4201', undefined, undefined],
  [`${CLOSED}.`, undefined, undefined],
  ['127.1.16897', undefined, undefined],
  ['2130788865', undefined, undefined],
  ['0x7f014201', undefined, undefined],
  ['0177.1.66.1', undefined, undefined],
  [`64:ff9b::${CLOSED}`, undefined, undefined],
  ['open.test', OPEN, OPEN],
  ['OPEN.Test.', OPEN, OPEN],
  ['closed.test', undefined, undefined],
  ['CLOSED.test.', undefined, undefined],
  ['mapped-closed.test', undefined, undefined],
  ['alias-closed.test', undefined, undefined],
  ['Alias-Closed.TEST.', undefined, undefined],
  ['mixed.test', OPEN, OPEN],
  ['mixed-again.test', OPEN, OPEN],
  ['db.payments.test', PAYMENTS, undefined],
  ['DB.Payments.test.', PAYMENTS, undefined],
  ['outside.test', undefined, undefined],
  ['x.secret.test', undefined, undefined],
  ['X.SECRET.test.', undefined, undefined],
  ['nothing.test', undefined, undefined],
];

/** On every address a listener of its own on the same port, so that it shows who was reached. */
async function startTargets() {
  const first = await startEcho([OPEN]);
  onTestFinished(() => first.close());
  const { port } = first;
  const counts = new Map([[OPEN, first.connections]]);
  for (const host of ALL.slice(1)) {
    const target = await startEcho([host], port);
    onTestFinished(() => target.close());
    counts.set(host, target.connections);
  }
  const reached = () => Object.fromEntries([...counts].map(([host, count]) => [host, count()]));
  return { port, reached };
}

async function startServer(dns: FakeDns) {
  onTestFinished(() => dns.close());
  return startPoliced(SIP023.method, POLICY, { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1 });
}

const nobody = { [OPEN]: 0, [CLOSED]: 0, [PAYMENTS]: 0, [OUTSIDE]: 0 };

describeOnLinux('what is denied is never dialled', () => {
  it.each([
    ['as it is', false],
    ['as a name', true],
  ])('by TCP, an address sent %s', async (_, asName) => {
    const { port, reached } = await startTargets();
    const policed = await startServer(await startFakeDns(zone(ZONE)));
    const expected: Record<string, number> = { ...nobody };
    for (const [host, ...results] of TABLE) {
      for (const [index, address] of results.entries()) {
        const user: UserName = index === 0 ? 'alice' : 'bob';
        if (address !== undefined) expected[address]!++;
        const target: Target = asName ? { type: 'name', host, port } : targetOf(host, port);
        expect(`${host} ${user}: ${await reach(policed.as(user), target)}`).toBe(
          `${host} ${user}: ${address === undefined ? 'ECONNRESET' : 'reached'}`,
        );
        expect(reached(), `${host} ${user}`).toEqual(expected);
      }
    }
  });

  it('by UDP', async () => {
    const echo = await startDatagramEcho(ALL);
    onTestFinished(() => echo.close());
    const policed = await startServer(await startFakeDns(zone(ZONE)));
    const sessions = {
      alice: await DatagramSession.begin(policed.as('alice')),
      bob: await DatagramSession.begin(policed.as('bob')),
    };
    for (const [host, alice, bob] of TABLE) {
      for (const [user, address] of [
        ['alice', alice],
        ['bob', bob],
      ] as const) {
        const session = sessions[user];
        const before = session.answers.length;
        session.send(targetOf(host, echo.port), `${host} ${user}`);
        // What may go shows that what was sent before it has been seen to.
        session.send({ type: 'ipv4', host: OPEN, port: echo.port }, 'behind it');
        await expect
          .poll(() => session.answers.slice(before).map(({ payload }) => String(payload)), {
            message: `${host} ${user}`,
          })
          .toContain('behind it');
        if (address !== undefined) {
          await expect
            .poll(() => session.answers.map(({ from, payload }) => `${from.host} ${payload}`))
            .toContain(`${address} ${host} ${user}`);
        }
      }
    }
    const denied = TABLE.flatMap(([host, alice, bob]) => [
      ...(alice ? [] : [`${host} alice`]),
      ...(bob ? [] : [`${host} bob`]),
    ]);
    // Each went with one that may go.
    expect(echo.datagrams()).toBe(2 * 2 * TABLE.length - denied.length);
  });

  it('where the name is another address with each question', async () => {
    const { port, reached } = await startTargets();
    const asked = new Map<string, number>();
    const dns = await startFakeDns(query => {
      const { name, type } = query;
      if (type !== 'A') return reply(query, { authorities: [soa({ ttl: 0, minimum: 0 })] });
      const times = asked.get(name) ?? 0;
      asked.set(name, times + 1);
      const [first, then] = name.startsWith('good') ? [OPEN, CLOSED] : [CLOSED, OPEN];
      return reply(query, { answers: [a(name, times === 0 ? first : then, 0)] });
    });
    const policed = await startServer(dns);
    for (let count = 0; count < 20; count++) {
      for (const kind of ['good', 'bad']) {
        const host = `${kind}${count}.rebind.test`;
        expect(await reach(policed.as('alice'), { type: 'name', host, port })).toBe(
          kind === 'good' ? 'reached' : 'ECONNRESET',
        );
        expect(asked.get(host), host).toBe(1);
      }
    }
    expect(reached()).toEqual({ ...nobody, [OPEN]: 20 });
  });
});
