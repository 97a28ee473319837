import { targetOf } from '@podsocks/shared/wire/address';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, it } from 'vitest';
import { parseRouteAcl } from './route-acl.ts';
import { parseRoutePattern } from './route-pattern.ts';
import { type RouteRule, WAYS } from './route-rule.ts';
import { type KnownCluster, ROUTE_MODES, Router, type RouteSettings } from './router.ts';
import { browser, PROXY, WORD } from './routing-fixtures.ts';

/* Few different parts, so that rules and targets meet. */
const label = fc.constantFrom(
  'a',
  'b',
  'redis',
  'default',
  'payments',
  'dev',
  'svc',
  'local',
  'cluster',
  'example',
  'x-1',
  '__proto__',
);
const name = fc.oneof(
  { weight: 3, arbitrary: fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.')) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(label, fc.constantFrom('svc.cluster.local', 'k8s.example', 'b.svc', 'localhost'))
      .map(parts => parts.join('.')),
  },
  fc.constantFrom(
    'localhost',
    'info.podsocks.internal',
    'cluster.local',
    'k8s.example',
    '127.1',
    '2130706433',
    'a..b',
    'a_b',
    '010.0.0.1',
    '10.96.01.0',
    'a'.repeat(63),
    'a'.repeat(64),
    `${'a.'.repeat(126)}a`,
    `${'a.'.repeat(127)}a`,
  ),
);
const word = fc.constantFrom(
  0,
  1,
  0xffffffff,
  0x0a600001,
  0x0a600100,
  0x7f000001,
  0xa9fe0001,
  0xc0a80101,
  0xfd000000,
  0xfe800000,
  0xffff,
);
const ipv4 = fc
  .oneof(word, fc.nat(0xffffffff))
  .map(bits => [24, 16, 8, 0].map(shift => (bits >>> shift) & 255).join('.'));
const ipv6 = fc
  .tuple(word, word, word, word)
  .map(words => words.flatMap(bits => [(bits >>> 16).toString(16), (bits & 0xffff).toString(16)]).join(':'));
const mixed6 = fc.oneof(
  ipv6,
  ipv4.map(quad => `::ffff:${quad}`),
  ipv4.map(quad => `fd00::${quad}`),
  fc.constantFrom(
    '::',
    '::1',
    'fd00::',
    'febf::1',
    'fd00::1:2',
    '1::2::3',
    '1:2:3',
    'g::1',
    '::1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
  ),
);
const reverse = fc.oneof(
  ipv4.map(quad => `${quad.split('.').reverse().join('.')}.in-addr.arpa`),
  ipv6.map(
    text =>
      `${[
        ...text
          .split(':')
          .map(group => group.padStart(4, '0'))
          .join(''),
      ]
        .reverse()
        .join('.')}.ip6.arpa`,
  ),
  fc.constant('1.2.3.in-addr.arpa'),
);
const spelt = (text: string, how: number) => (how === 1 ? text.toUpperCase() : how === 2 ? `${text}.` : text);
const host = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.oneof(name, name, reverse), fc.nat(2)).map(([text, how]) => spelt(text, how)) },
  { weight: 3, arbitrary: ipv4 },
  { weight: 2, arbitrary: fc.tuple(mixed6, fc.nat(1)).map(([text, how]) => spelt(text, how)) },
);
const port = fc.constantFrom(21, 80, 443, 6379, 8080);
const cidr4 = fc.tuple(ipv4, fc.nat(32)).map(([base, bits]) => `${base}/${bits}`);
const cidr6 = fc.tuple(ipv6, fc.nat(128)).map(([base, bits]) => `${base}/${bits}`);
/** In each other, for targets that are in all of them. */
const nested = fc.constantFrom(
  '10.0.0.0/8',
  '10.96.0.0/12',
  '10.96.0.0/16',
  '10.96.1.0/24',
  'fd00::/16',
  'fd00::/32',
  'febf::/16',
);
const cidr = fc.oneof(cidr4, cidr6, nested);

const place = fc.oneof(
  cidr.map(text => parseRouteAcl(text, '', '').lists[0]!.to!),
  fc.tuple(fc.constantFrom('', '*.', '.'), name).map(([prefix, text]) => {
    try {
      return parseRoutePattern(prefix + text).to!;
    } catch {
      return parseRoutePattern('never.example').to!;
    }
  }),
  fc
    .constantFrom('(^|\\.)a\\.', '^redis', 'svc$', '\\d', 'LOCAL')
    .map(text => parseRouteAcl(text, '', '').lists[0]!.to!),
);
const someRule: fc.Arbitrary<RouteRule> = fc.record(
  {
    way: fc.constantFrom(...WAYS),
    to: fc.array(place, { minLength: 1, maxLength: 3 }).map(places => places.flat()),
    ports: fc.constantFrom(
      [{ first: 443, last: 443 }],
      [{ first: 80, last: 8080 }],
      [
        { first: 1, last: 20 },
        { first: 21, last: 21 },
      ],
    ),
    from: fc.constant(''),
  },
  { requiredKeys: ['way', 'from'] },
);
const settings: fc.Arbitrary<RouteSettings> = fc
  .record({
    mode: fc.constantFrom(undefined, ...ROUTE_MODES),
    rules: fc.array(someRule, { maxLength: 4 }),
    default: fc.constantFrom(...WAYS),
    namespaces: fc.subarray(['payments', 'dev', 'a']),
  })
  .map(({ mode, ...others }) => ({ ...(mode && { mode }), ...others }));
const cluster: fc.Arbitrary<KnownCluster | undefined> = fc.option(
  fc.record(
    {
      domain: fc.constantFrom('cluster.local', 'k8s.example', 'localhost', 'bad name'),
      namespace: fc.constantFrom('payments', 'x-1'),
      nameservers: fc.array(fc.oneof(ipv4, ipv6), { maxLength: 1 }),
      allowed: fc.array(cidr, { maxLength: 4 }),
      default: fc.constant('deny' as const),
    },
    { requiredKeys: ['nameservers', 'allowed', 'default'] },
  ),
  { nil: undefined },
);

/** In whatever spelling: `::ffff:7f00:1` is loopback, too. */
function isHere(host: string): boolean {
  if (/^(?:.*\.)?localhost\.?$/i.test(host)) return true;
  const isAddress = host.includes(':') ? ipaddr.IPv6.isValid(host) : ipaddr.IPv4.isValidFourPartDecimal(host);
  return isAddress && ipaddr.process(host).range() === 'loopback';
}

it('says what the router says', () => {
  const seen = { DIRECT: 0, [WORD]: 0 };
  fc.assert(
    fc.property(
      settings,
      cluster,
      fc.constantFrom('podsocks' as const, 'unknown' as const),
      fc.array(cidr, { maxLength: 3 }),
      fc.array(fc.tuple(host, port, fc.constantFrom('http', 'https', 'ws')), { minLength: 8, maxLength: 16 }),
      (given, known, kind, attached, targets) => {
        const by = new Router(given, attached);
        by.learn(known, kind);
        const ask = browser(by.pac(PROXY));
        for (const [asked, number, scheme] of targets) {
          const decision = by.decide(targetOf(asked, number));
          const bracketed = asked.includes(':') ? `[${asked}]` : asked;
          const said = ask(`${scheme}://${bracketed}:${number}/`, asked);
          seen[said as keyof typeof seen]++;
          const isForBrowsers =
            decision.way === 'tunnel' && /^(all|no rule applies)$/.test(decision.because) && isHere(asked);
          expect([asked, number, said]).toEqual([
            asked,
            number,
            decision.way === 'direct' || isForBrowsers ? 'DIRECT' : WORD,
          ]);
        }
      },
    ),
    { numRuns: 2000 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(2000);
});
