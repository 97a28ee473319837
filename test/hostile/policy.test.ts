import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerConfig } from '@podsocks/server/config';
import { policyFrom } from '@podsocks/server/policy/policy-sources';
import { parseHosts } from '@podsocks/server/resolver/hosts-file';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { startFakeDns, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DatagramSession, DatagramStream } from '../support/datagram-session.ts';
import { type DatagramEcho, startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import type { Target as Echo } from '../support/targets/target.ts';
import { SIP004, SIP023 } from './support/ends.ts';
import { type Policed, reach, startPoliced, USERS } from './support/policed.ts';

/* Who has a key goes where the policy lets them, and nowhere else, in whatever form they ask for it. */

type Policy = ServerConfig['policy'];
type Rule = Policy['rules'][number];

/** What there is without any setting. */
const NO_RULES: Policy = policyFrom({}, { users: USERS.map(name => ({ name })) });

const networks = (...texts: readonly string[]) => texts.map(parseNetwork);
const allow = (...to: readonly string[]): Rule => ({ action: 'allow', to: networks(...to), from: 'an allowance' });
const deny = (...to: readonly string[]): Rule => ({ action: 'deny', to: networks(...to), from: 'a denial' });
const rules = (...list: readonly Rule[]): Policy => ({ rules: list, default: 'allow' });

/** Names that lead where nobody may go, whatever they look like. */
const ZONE: Readonly<Record<string, readonly string[]>> = {
  'loopback.test': ['127.0.0.1'],
  'six.test': ['::1'],
  'both.test': ['127.0.0.1', '::1'],
  'mapped.test': ['::ffff:127.0.0.1'],
  'nothing.test': ['0.0.0.0'],
  'metadata.test': ['169.254.169.254'],
  'alias.test': ['-> loopback.test'],
  // An honest server does not know these; inet_aton reads them as 127.0.0.1, or as 0.0.0.0.
  '0x7f000001': ['127.0.0.1'],
  '127.1': ['127.0.0.1'],
  '2130706433': ['127.0.0.1'],
  '017700000001': ['127.0.0.1'],
  '0': ['127.0.0.1'],
  '127.0.0.1': ['127.0.0.1'],
};

const name = (host: string) => ({ type: 'name', host }) as const;

/** All forms in which a client can ask for this machine's loopback, and metadata. */
const FORMS: readonly Pick<Target, 'type' | 'host'>[] = [
  { type: 'ipv4', host: '127.0.0.1' },
  { type: 'ipv4', host: '0.0.0.0' },
  { type: 'ipv4', host: '169.254.169.254' },
  { type: 'ipv6', host: '::1' },
  { type: 'ipv6', host: '::' },
  { type: 'ipv6', host: '::ffff:7f00:1' },
  { type: 'ipv6', host: '::ffff:0:0' },
  { type: 'ipv6', host: '::ffff:a9fe:a9fe' },
  { type: 'ipv6', host: '64:ff9b::7f00:1' },
  ...['127.0.0.1', '0.0.0.0', '::1', '[::1]', '::', '::ffff:127.0.0.1', '0:0:0:0:0:ffff:7f00:1'].map(name),
  ...['::1%lo', '::ffff:127.0.0.1%lo', '127.0.0.1%lo', '127.0.0.1.', '１２７．０．０．１'].map(name),
  ...['localhost', 'LOCALHOST.', 'a.localhost', ...namesOfThisMachine()].map(name),
  ...Object.keys(ZONE).map(name),
  ...['LoopBack.Test.', '0X7F000001', '127.1.'].map(name),
];

/** Those that /etc/hosts has for loopback. */
function namesOfThisMachine(): string[] {
  const hosts = parseHosts(readFileSync('/etc/hosts', 'utf8'));
  return [...hosts].flatMap(([host, found]) => (found.some(({ address }) => address === '127.0.0.1') ? [host] : []));
}

/** An echo on one port of each of the loopbacks, by TCP and UDP. */
async function startTargets(): Promise<{ readonly tcp: Echo; readonly udp: DatagramEcho }> {
  const hosts = ['127.0.0.1', '127.0.0.2', '::1'];
  const tcp = await startEcho(hosts);
  onTestFinished(() => tcp.close());
  const udp = await startDatagramEcho(hosts);
  onTestFinished(() => udp.close());
  return { tcp, udp };
}

async function startWith(policy: Policy, settings: Partial<ServerConfig> = {}, method = SIP023.method) {
  const dns = await startFakeDns(zone(ZONE));
  onTestFinished(() => dns.close());
  return startPoliced(method, policy, { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1, ...settings });
}

/** Reads the log line of each request that had a target, in order. */
class Denials {
  readonly #policed: Policed;
  #read = 0;

  constructor(policed: Policed) {
    this.#policed = policed;
  }

  /** The next one, which is about this target; without what every line has. */
  async next(target: Target): Promise<Record<string, unknown>> {
    const lines = () => this.#policed.records.filter(record => record.target !== undefined && record.level === 'info');
    const index = this.#read++;
    await expect.poll(() => lines()[index], { message: target.host }).toMatchObject({ target: formatTarget(target) });
    const { level, time, pid, hostname, name, worker, ...said } = lines()[index]!;
    return said;
  }
}

/** The sums of the associations that have ended. */
function passed({ records }: Policed, msg: string): { readonly packetsUp: number; readonly drops: object }[] {
  return records.flatMap(record => (record.msg === msg ? [record as never] : []));
}

describe('without any rule', () => {
  it('nobody reaches loopback or metadata by TCP, and the log says who wanted what, and why not', async () => {
    const { tcp } = await startTargets();
    const policed = await startWith(NO_RULES);
    const denials = new Denials(policed);
    for (const form of FORMS) {
      const target = { ...form, port: tcp.port };
      expect(await reach(policed.as('alice'), target), target.host).toBe('ECONNRESET');
      const line = await denials.next(target);
      const text = formatTarget(target);
      expect(line).toEqual({
        client: '127.0.0.1',
        user: 'alice',
        target: text,
        msg: expect.stringMatching(/: (not allowed \(built in: [a-z0-9 -]+\)|no such name \(ENOTFOUND\).*)$/i),
      });
      expect(String(line.msg).startsWith(`${text}: `), String(line.msg)).toBe(true);
    }
    expect(tcp.connections()).toBe(0);
  });

  it('nor by UDP', async () => {
    const { udp } = await startTargets();
    const policed = await startWith(NO_RULES);
    const session = await DatagramSession.begin(policed.as('alice'));
    for (const form of FORMS) {
      await session.sendRaw(session.seal({ ...form, port: udp.port }, 'hello'));
      await sleep(1); // a burst may be lost
    }
    await policed.drain();
    await expect.poll(() => passed(policed, 'UDP association closed')).toHaveLength(1);
    const [{ packetsUp, drops }] = passed(policed, 'UDP association closed') as [never];
    expect({ packetsUp, drops }).toEqual({
      packetsUp: 0,
      drops: { denied: expect.any(Number), name: expect.any(Number) },
    });
    expect(Object.values(drops as Record<string, number>).reduce((sum, count) => sum + count)).toBe(FORMS.length);
    expect({ sent: udp.datagrams(), answers: session.answers }).toEqual({ sent: 0, answers: [] });
  });

  it('nor by UDP over TCP, of either version, with one target or with many', async () => {
    const { udp } = await startTargets();
    const policed = await startWith(NO_RULES);
    const targets = FORMS.map(form => ({ ...form, port: udp.port }));
    const streams: DatagramStream[] = [];
    for (const version of [1, 2] as const) {
      const stream = new DatagramStream(policed.as('alice'), { version });
      for (const target of targets) await stream.send(target, 'hello');
      streams.push(stream);
    }
    for (const connectTo of targets) {
      const stream = new DatagramStream(policed.as('alice'), { version: 2, connectTo });
      await stream.send(connectTo, 'hello');
      streams.push(stream);
    }
    await sleep(500); // for names to be found
    for (const { connection } of streams) connection.end();
    await expect
      .poll(() => passed(policed, 'UDP over TCP closed'), { timeout: 10_000 })
      .toHaveLength(2 + targets.length);
    expect(passed(policed, 'UDP over TCP closed').map(({ packetsUp }) => packetsUp)).toEqual(streams.map(() => 0));
    expect(udp.datagrams()).toBe(0);
  });
});

/** Everything that short of the server's own address and port can be said. */
const ALL = allow('0.0.0.0/0', '::/0', '127.0.0.0/8', '::1', 'fe80::/10', '0.0.0.0/8', '::');

describe("the server's own port", () => {
  const machine = Object.values(networkInterfaces())
    .flatMap(infos => infos ?? [])
    .map(({ address, family }) => ({ type: family === 'IPv4' ? 'ipv4' : 'ipv6', host: address }) as const);
  const own: readonly Pick<Target, 'type' | 'host'>[] = [
    ...machine,
    ...['127.0.0.2', '127.255.255.254', '0.0.0.0'].map(host => ({ type: 'ipv4', host }) as const),
    ...['::1', '::', '::ffff:7f00:1'].map(host => ({ type: 'ipv6', host }) as const),
    ...['localhost', '127.0.0.1', 'loopback.test', 'six.test', 'nothing.test', 'both.test'].map(name),
  ];

  it.each([
    ['nothing', NO_RULES],
    ['127.0.0.0/8', rules(allow('127.0.0.0/8', '::1'))],
    ['all networks', rules(ALL)],
    ['all names', rules({ action: 'allow', to: [{ kind: 'any' }], from: 'a name' }, ALL)],
    ['its port on all networks', rules({ action: 'allow', ports: [{ first: 1, last: 65_535 }], from: 'ports' }, ALL)],
  ] as const)('is reached at none of its addresses where %s is allowed', async (_, policy) => {
    const policed = await startWith(policy, { listen: [{ host: '0.0.0.0', port: 0 }] });
    const denials = new Denials(policed);
    const session = await DatagramSession.begin(policed.as('bob'));
    for (const form of own) {
      const target = { ...form, port: policed.port };
      expect(await reach(policed.as('alice'), target), target.host).toBe('ECONNRESET');
      expect((await denials.next(target)).msg).toMatch(
        /\(built in: the server itself\)$|no such name|the name has no address/,
      );
      session.send(target, 'hello');
      const stream = new DatagramStream(policed.as('bob'), { version: 2, connectTo: target });
      await stream.send(target, 'hello');
      stream.connection.end(); // what it has sent is read before
    }
    await policed.drain();
    const sums = [...passed(policed, 'UDP association closed'), ...passed(policed, 'UDP over TCP closed')];
    expect(sums.length).toBeGreaterThan(0);
    expect(sums.map(({ packetsUp }) => packetsUp)).toEqual(sums.map(() => 0));
    // It would have said so of what it got from itself.
    expect(policed.records.filter(({ msg }) => /^refused|no key opens/.test(String(msg)))).toEqual([]);
  });

  it('stays out of reach while targets on the same address are within it', async () => {
    const { tcp, udp } = await startTargets();
    const policed = await startWith(rules(allow('127.0.0.0/8', '::1')));
    const alice = policed.as('alice');
    const session = await DatagramSession.begin(alice);
    for (const form of [
      { type: 'ipv4', host: '127.0.0.1' },
      { type: 'ipv6', host: '::1' },
      name('localhost'),
    ] as const) {
      expect(await reach(alice, { ...form, port: tcp.port }), form.host).toBe('reached');
      await session.ask({ ...form, port: udp.port }, `to ${form.host}`);
    }
    expect(await reach(alice, { type: 'ipv4', host: '127.0.0.1', port: policed.port })).toBe('ECONNRESET');
  });
});

it('loopback is lifted by its network alone: not by all networks, all names, or a rule for anywhere', async () => {
  const { tcp } = await startTargets();
  const policed = await startWith(
    rules(
      allow('0.0.0.0/0', '::/0', '126.0.0.0/7'),
      { action: 'allow', to: [{ kind: 'any' }, { kind: 'name', name: 'loopback.test' }], from: 'a name' },
      { action: 'allow', from: 'anywhere' },
    ),
  );
  for (const form of FORMS) {
    expect(await reach(policed.as('alice'), { ...form, port: tcp.port }), form.host).toBe('ECONNRESET');
  }
  expect(tcp.connections()).toBe(0);
});

// SIP023 tells users by a header, SIP004 by trying their keys.
describe.each([SIP023, { ...SIP004, method: methodNamed('chacha20-ietf-poly1305') }])('under $name', ({ method }) => {
  const ALICE: Policy = {
    rules: [{ ...allow('127.0.0.0/8', '::1'), users: ['alice'] }],
    default: 'deny',
  };

  it('what is allowed to one user is not to the other', async () => {
    const { tcp, udp } = await startTargets();
    const policed = await startWith(ALICE, {}, method);
    const [alice, bob] = [policed.as('alice'), policed.as('bob')];
    const forms = [{ type: 'ipv4', host: '127.0.0.1' }, name('localhost'), name('loopback.test')] as const;
    const [hers, his] = [await DatagramSession.begin(alice), await DatagramSession.begin(bob)];
    const stream = new DatagramStream(alice, { version: 2 });
    const hisStream = new DatagramStream(bob, { version: 2 });
    for (const [i, form] of forms.entries()) {
      const [target, to] = [
        { ...form, port: tcp.port },
        { ...form, port: udp.port },
      ];
      expect(await reach(bob, target)).toBe('ECONNRESET');
      his.send(to, 'hello');
      await hisStream.send(to, 'hello');
      expect(await reach(alice, target)).toBe('reached');
      await hers.ask(to, `${i}`);
      await stream.send(to, `${i}`);
      expect(String((await stream.next())?.payload)).toBe(`${i}`);
    }
    expect(tcp.connections()).toBe(forms.length);
    const denials = policed.records.filter(({ user, target }) => user === 'bob' && target !== undefined);
    expect(denials.map(({ target, msg }) => ({ target, msg }))).toEqual(
      forms.map(({ host }) => ({
        target: `${host}:${tcp.port}`,
        msg: `${host}:${tcp.port}: not allowed (${host === '127.0.0.1' ? 'built in: loopback' : 'default'})`,
      })),
    );
    await expect
      .poll(() => policed.records.filter(({ reason }) => reason === 'denied').map(({ user }) => user))
      .toContain('bob');
    expect(his.answers).toEqual([]);
  });

  it('what is denied to one is not to the other', async () => {
    const { tcp, udp } = await startTargets();
    const policed = await startWith(
      rules({ ...deny('127.0.0.2'), users: ['bob'] }, allow('127.0.0.0/8', '::1')),
      {},
      method,
    );
    const [first, second] = ['127.0.0.1', '127.0.0.2'].map(host => ({ type: 'ipv4', host }) as const);
    expect(await reach(policed.as('alice'), { ...second!, port: tcp.port })).toBe('reached');
    expect(await reach(policed.as('bob'), { ...first!, port: tcp.port })).toBe('reached');
    expect(await reach(policed.as('bob'), { ...second!, port: tcp.port })).toBe('ECONNRESET');
    expect(await reach(policed.as('bob'), { ...name('127.0.0.2'), port: tcp.port })).toBe('ECONNRESET');
    expect(await reach(policed.as('bob'), { type: 'ipv6', host: '::ffff:7f00:2', port: tcp.port })).toBe('ECONNRESET');
    await expect
      .poll(() => policed.records.map(({ msg }) => msg))
      .toContain(`127.0.0.2:${tcp.port}: not allowed (a denial)`);
    const his = await DatagramSession.begin(policed.as('bob'));
    his.send({ ...second!, port: udp.port }, 'denied');
    await his.ask({ ...first!, port: udp.port }, 'allowed');
    await (await DatagramSession.begin(policed.as('alice'))).ask({ ...second!, port: udp.port }, 'hers');
    expect(his.answers.map(({ from, payload }) => `${from.host} ${payload}`)).toEqual(['127.0.0.1 allowed']);
  });
});
