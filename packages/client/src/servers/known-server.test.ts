import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInformation } from './known-server.ts';

const ANSWER = {
  podsocks: { version: '1.2.3' },
  time: '2026-01-01T00:00:01.500Z',
  user: 'ada',
  features: ['connect-status', 'udp', 'udp-over-tcp', 'something-new'],
  cluster: {
    domain: 'cluster.local',
    namespace: 'shop',
    nameservers: ['10.96.0.10', '10.0.0.1:5353', '[fd00::a]:53', 'fd00::b'],
    search: ['shop.svc.cluster.local', 'svc.cluster.local'],
    ndots: 5,
    allowed: ['10.0.0.0/8', '192.168.1.7', 'fd00::/8'],
    default: 'deny',
  },
};

const read = (answer: unknown) => readInformation(JSON.stringify(answer), Date.parse('2026-01-01T00:00:00Z'));
const readCluster = (cluster: object) => read({ ...ANSWER, cluster: { ...ANSWER.cluster, ...cluster } });

describe('what a server says of itself', () => {
  it('is its cluster, its features, and how far its clock is ahead', () => {
    expect(read(ANSWER)).toEqual({
      ...{ version: '1.2.3', user: 'ada', clockAhead: 1500 },
      ...{ hasConnectStatus: true, carriesUdp: true, carriesUdpOverTcp: true },
      ...{ domain: 'cluster.local', namespace: 'shop', search: ANSWER.cluster.search, ndots: 5 },
      nameservers: [
        { host: '10.96.0.10', port: 53 },
        { host: '10.0.0.1', port: 5353 },
        { host: 'fd00::a', port: 53 },
        { host: 'fd00::b', port: 53 },
      ],
      ...{ allowed: ['10.0.0.0/8', '192.168.1.7', 'fd00::/8'], default: 'deny' },
    });
  });

  it('may leave out all but version and features', () => {
    expect(read({ podsocks: { version: '1' }, features: [] })).toMatchObject({
      ...{ user: undefined, clockAhead: undefined, domain: undefined, namespace: undefined },
      ...{ nameservers: [], search: [], ndots: 5, allowed: [], default: 'allow' },
    });
  });

  it.each<[string, object, object]>([
    ['a domain with a line break', { domain: 'a\nb' }, { domain: undefined }],
    ['nameservers that are none', { nameservers: ['a b', 7, '10.0.0.1:0', '10.0.0.1:99999'] }, { nameservers: [] }],
    ['a search list that is none', { search: 'svc' }, { search: [] }],
    ['networks that are none', { allowed: ['10.0.0.0/33', 'all', null, '\u001b[2J'] }, { allowed: [] }],
    ['bits behind a prefix', { allowed: ['10.1.2.3/8'] }, { allowed: ['10.0.0.0/8'] }],
    ['too many dots', { ndots: 1e9 }, { ndots: 15 }],
    ['no number of dots', { ndots: '5' }, { ndots: 5 }],
  ])('is not believed where it makes no sense: %s', (_, given, expected) => {
    expect(readCluster(given)).toMatchObject(expected);
  });

  it('has an end', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const { allowed, nameservers, search } = readCluster({ allowed: many, nameservers: many, search: many });
    expect([allowed.length, nameservers.length, search.length]).toEqual([256, 16, 32]);
  });

  it.each([
    ['no JSON', 'x', 'no JSON'],
    ['a version for the terminal', { ...ANSWER, podsocks: { version: '\u001b[2J' } }, 'no version'],
    ['no list of features', { ...ANSWER, features: {} }, 'no list of features'],
  ])('is refused: %s', (_, answer, complaint) => {
    expect(() => readInformation(typeof answer === 'string' ? answer : JSON.stringify(answer), 0)).toThrow(complaint);
  });

  it('never breaks, whatever it is, and has nothing that a terminal would act on', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (cluster, user) => {
        const known = read({ ...ANSWER, cluster: JSON.parse(cluster), user: JSON.parse(user) });
        expect(JSON.stringify(known)).not.toMatch(/\\u00[01]/);
      }),
    );
  });
});
