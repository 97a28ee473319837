import { expect, it } from 'vitest';
import { NameSet, parseNamePattern, readName } from './name-pattern.ts';

const matches = (pattern: string, name: string) => new NameSet([parseNamePattern(pattern)]).has(readName(name) ?? '');

it.each([
  ['*.payments.svc.cluster.local', 'db.payments.svc.cluster.local'],
  ['*.payments.svc.cluster.local', 'pod-0.db.payments.svc.cluster.local'],
  ['*.payments.svc.cluster.local', 'DB.Payments.SVC.cluster.LOCAL.'],
  ['*.Payments.svc.Cluster.local.', 'db.payments.svc.cluster.local'],
  ['db.example.com', 'db.example.com'],
  ['db.example.com', 'Db.example.com.'],
  ['*', 'localhost'],
  ['*', 'a.b.c'],
  ['_sip._tcp.example.com', '_sip._tcp.example.com'],
])('%s means %s', (pattern, name) => {
  expect(matches(pattern, name)).toBe(true);
});

it.each([
  ['*.payments.svc.cluster.local', 'payments.svc.cluster.local'],
  ['*.payments.svc.cluster.local', 'xpayments.svc.cluster.local'],
  ['*.payments.svc.cluster.local', 'db.payments.svc.cluster.local.example.com'],
  ['*.payments.svc.cluster.local', 'db.payments.svc.cluster.local.cluster.local'],
  ['*.payments.svc.cluster.local', 'db.payments'],
  ['db.example.com', 'a.db.example.com'],
  ['db.example.com', 'example.com'],
  ['db.example.com', 'dbxexample.com'],
])('%s does not mean %s', (pattern, name) => {
  expect(matches(pattern, name)).toBe(false);
});

it.each([
  '',
  '.',
  'a..b',
  'a.example..',
  '.a.example',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0177.0.0.1',
  '0x7f000001',
  '0x7F.1',
  'a.0x',
  '127.0.0.1.',
  '::1',
  '[::1]',
  'a b',
  'a/b',
  'a%00.example',
  'ｅvil.example',
  '１２７.0.0.1',
  'evil。example',
  'bücher.example',
  `${'a'.repeat(64)}.example`,
  'a.'.repeat(128),
])('%j is no name', text => {
  expect(readName(text)).toBeUndefined();
});

it('takes a name as long as there can be', () => {
  const longest = `${'a.'.repeat(126)}a`;
  expect(longest).toHaveLength(253);
  expect(readName(`${longest}.`)).toBe(longest);
});

it('takes nothing for ASCII that lower case would make of other letters', () => {
  expect(readName('\u212Aube.local')).toBeUndefined(); // the Kelvin sign
});

it.each([
  '',
  '**',
  '*.',
  '*a.example',
  'a.*.example',
  'a*.example',
  '.example',
  '*.*.example',
  '*.10',
  'a..b',
  'bücher.example',
])('%j is no pattern', pattern => {
  expect(() => parseNamePattern(pattern)).toThrow('is neither a network nor a name');
});

it('searches many patterns as one', () => {
  const set = new NameSet([
    ...Array.from({ length: 1000 }, (_, i) => parseNamePattern(`*.n${i}.example`)),
    ...Array.from({ length: 1000 }, (_, i) => parseNamePattern(`m${i}.example`)),
    { kind: 'expression', expression: /(^|\.)deep\.test$/i },
  ]);
  expect(['a.b.n7.example', 'm999.example', 'x.deep.test', 'deep.test'].map(name => set.has(name))).not.toContain(
    false,
  );
  expect(['n7.example', 'a.m9.example', 'xdeep.test', 'example'].map(name => set.has(name))).not.toContain(true);
});
