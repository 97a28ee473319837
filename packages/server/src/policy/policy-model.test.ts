import fc from 'fast-check';
import { expect, it } from 'vitest';
import { policy, type RuleText } from './policy-fixtures.ts';
import {
  type Asked,
  bitsOf,
  DENIED,
  GROUPS,
  ipv6Bits,
  type ModelNetwork,
  type ModelRule,
  modelVerdict,
  OWN,
  textOf,
  v4,
  v6,
  within,
} from './policy-model-fixtures.ts';

/** Addresses at and beside the edges of what there are rules for. */
const ipv4 = fc
  .tuple(
    fc.constantFrom(0, 10, 100, 127, 169, 192, 224, 255),
    fc.constantFrom(0, 1, 100, 254, 255),
    fc.constantFrom(0, 2, 100, 169, 255),
    fc.constantFrom(0, 1, 3, 200, 254, 255),
  )
  .map(bitsOf);
const group = fc.constantFrom(0, 0, 0, 1, 0xffff, 0x7f00, 0xa9fe);
const ipv6 = fc.oneof(
  fc
    .tuple(fc.constantFrom(0, 0xfd00, 0xfe80, 0xff02, 0x2002, 0x64), group, group, group, group, group, group, group)
    .map(ipv6Bits),
  ipv4.map(bits => `${'0'.repeat(80)}${'1'.repeat(16)}${bits}`),
  ipv4.map(bits => `${'0'.repeat(96)}${bits}`),
  ipv4.map(bits => `${'0'.repeat(64)}${'1'.repeat(16)}${'0'.repeat(16)}${bits}`),
  ipv4.map(bits => `${bitsOf([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])}${bits}`),
  ipv4.map(bits => `${bitsOf([0x20, 0x02])}${bits}${'0'.repeat(80)}`),
  fc.constantFrom(...DENIED.filter(({ length }) => length === 128).map(({ prefix }) => prefix.padEnd(128, '0'))),
);
const address = fc.oneof(ipv4, ipv6);

/** Those with IPv4-mapped bits are IPv4 in the policy, and wider ones IPv6 alone; the model has no such networks. */
const network = fc
  .oneof(
    fc.tuple(address, fc.nat(128)).map(([bits, n]): ModelNetwork => {
      const length = bits.length === 32 ? 32 : 128;
      return { prefix: bits.slice(0, n % (length + 1)), length };
    }),
    fc.constantFrom(...DENIED),
    fc.constant(v4('0.0.0.0', 0)),
    fc.constant(v6([], 0)),
  )
  .filter(
    ({ prefix, length }) =>
      length === 32 || prefix.length < 96 || !prefix.startsWith(`${'0'.repeat(80)}${'1'.repeat(16)}`),
  );

const name = fc.constantFrom('db.payments.svc', 'payments.svc', 'a.db.payments.svc', 'xpayments.svc', 'localhost');
const pattern = fc.constantFrom('*', '*.payments.svc', '*.svc', 'db.payments.svc', 'localhost', 'payments.svc');
const port = fc.constantFrom(1, 80, 443, 8388, 8389, 65535);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 3 });

const rule: fc.Arbitrary<ModelRule> = fc.record({
  action: fc.constantFrom('allow', 'deny'),
  networks: maybe(few(network)),
  names: maybe(few(pattern)),
  within: fc.option(few(network), { nil: undefined, freq: 1 }),
  ports: maybe(few(fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const))),
  protocols: maybe(few(fc.constantFrom('tcp', 'udp'))),
  users: fc.option(few(fc.constantFrom(...Object.keys(GROUPS))), { nil: undefined, freq: 1 }),
  groups: fc.option(few(fc.constantFrom('ops', 'dev')), { nil: undefined, freq: 1 }),
});

const networkText = ({ prefix, length }: ModelNetwork) => `${textOf(prefix.padEnd(length, '0'))}/${prefix.length}`;

function ruleText({ networks, names, within: inside, ports, ...others }: ModelRule): RuleText {
  const to = [...(networks?.map(networkText) ?? []), ...(names ?? [])];
  const defined = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined));
  return {
    ...(defined as Pick<RuleText, 'action'>),
    ...((networks || names) && { to }),
    ...(inside && { within: inside.map(networkText) }),
    ...(ports && { ports: ports.map(([first, last]) => `${first}-${last}`).join() }),
  };
}

const policyOf = (rules: readonly ModelRule[], open: boolean) =>
  policy({
    rules: rules.map(ruleText),
    default: open ? 'allow' : 'deny',
    users: Object.entries(GROUPS).map(([user, groups]) => ({ name: user, groups })),
    listeners: [{ host: '0.0.0.0', port: OWN.port }],
    machine: ['10.1.2.3'],
  });

const asked: fc.Arbitrary<Asked> = fc.record({
  user: fc.constantFrom(...Object.keys(GROUPS)),
  protocol: fc.constantFrom('tcp', 'udp'),
  name: maybe(name),
  address,
  port,
});

it('says what the model says', () => {
  let lifted = 0;
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 6 }),
      fc.boolean(),
      fc.array(asked, { minLength: 1, maxLength: 8 }),
      (rules, open, all) => {
        const own = policyOf(rules, open);
        for (const one of all) {
          const expected = modelVerdict(rules, open, one);
          const destination = { ...one, address: textOf(one.address) };
          expect({ destination, allowed: own.evaluate(destination).allowed }).toEqual({
            destination,
            allowed: expected,
          });
          const { verdict, steps } = own.trace(destination);
          expect(verdict).toEqual(own.evaluate(destination));
          expect(steps.slice(0, -1).every(({ mismatch }) => mismatch !== undefined)).toBe(true);
          if (expected && DENIED.some(denied => within(one.address, denied))) lifted++;
        }
      },
    ),
    { numRuns: 4000 },
  );
  // The addresses and rules meet often enough to mean something.
  expect(lifted).toBeGreaterThan(10);
});

it('denies before the look-up only what it would deny at every address', () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 6 }),
      fc.boolean(),
      fc.array(asked, { minLength: 8, maxLength: 8 }),
      (rules, open, all) => {
        const own = policyOf(rules, open);
        const { user, protocol, name: asName = 'localhost', port: asPort } = all[0]!;
        const early = own.evaluateName({ user, protocol, name: asName, port: asPort });
        if (early === undefined) return;
        expect(early.allowed).toBe(false);
        for (const { address: bits } of all) {
          const destination = { user, protocol, name: asName, port: asPort, address: textOf(bits) };
          expect({ destination, allowed: own.evaluate(destination).allowed }).toEqual({ destination, allowed: false });
        }
      },
    ),
    { numRuns: 3000 },
  );
});
