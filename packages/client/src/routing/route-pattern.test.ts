import { formatNetwork } from '@podsocks/shared/matching/network';
import { expect, it } from 'vitest';
import { comparePatterns, parseRoutePattern } from './route-pattern.ts';

const said = (text: string) => {
  const { to, ports } = parseRoutePattern(text);
  const places = to?.map(item =>
    item.kind === 'network' ? formatNetwork(item) : item.kind === 'expression' ? '' : `${item.kind} ${item.name}`,
  );
  return [places?.join(', ') ?? 'anything', ports?.map(({ first, last }) => `${first}-${last}`).join() ?? ''];
};

it.each([
  ['10.0.0.0/8', '10.0.0.0/8', ''],
  ['10.1.2.3', '10.1.2.3', ''],
  ['10.0.0.0/8:443', '10.0.0.0/8', '443-443'],
  ['10.1.2.3:8000-8999', '10.1.2.3', '8000-8999'],
  ['fd00::/8', 'fd00::/8', ''],
  ['::1', '::1', ''],
  ['[::1]', '::1', ''],
  ['[fd00::/8]:443', 'fd00::/8', '443-443'],
  ['[2001:db8::1]:1-2', '2001:db8::1', '1-2'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8', ''],
  ['db.example.com', 'name db.example.com', ''],
  ['DB.Example.com.:5432', 'name db.example.com', '5432-5432'],
  ['*.example.com', 'below example.com', ''],
  ['*.example.com:443', 'below example.com', '443-443'],
  ['.example.com', 'name example.com, below example.com', ''],
  ['redis', 'name redis', ''],
  ['cafe.beef', 'name cafe.beef', ''],
  ['dead', 'name dead', ''],
  ['*', 'anything', ''],
  ['*:25', 'anything', '25-25'],
  [':6379', 'anything', '6379-6379'],
])('%s is %s, ports %s', (text, place, ports) => {
  expect(said(text)).toEqual([place, ports]);
});

it.each([
  ['', 'is no target of a route'],
  [':', 'is no target of a route'],
  ['10.0.0.0/8:', 'is no target of a route'],
  ['a.example:443,80', 'is no target of a route'],
  ['a.example:http', 'is no target of a route'],
  ['a.example:0', 'is not a port'],
  ['a.example:9-8', 'is not a port'],
  ['a.example:70000', 'is not a port'],
  ['10.0.0.1/8', 'has bits behind its prefix; write 10.0.0.0/8'],
  ['10.0.0.0/33', 'is not a network'],
  ['10.0.0', 'is not a network'],
  ['fd00::/8:443', 'is no target of a route'],
  ['[fd00::/8', 'is no target of a route'],
  ['[10.0.0.1]:80', 'is no target of a route'],
  ['http://a.example', 'is no target of a route'],
  ['a*.example', 'is no target of a route'],
  ['**', 'is no target of a route'],
  ['*.', 'is no target of a route'],
  ['.', 'is no target of a route'],
  ['bücher.example', 'is no target of a route'],
  ['127.1', 'is not a network'],
])('%j is refused', (text, message) => {
  expect(() => parseRoutePattern(text)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining(message) }),
  );
});

it('asks names before networks, and the narrowest first', () => {
  const sorted = [
    'a.b.example.com',
    '*.b.example.com:443',
    '*.b.example.com',
    '.example.com:1-1000',
    '.example.com',
    '10.1.2.3',
    '10.1.0.0/16:80',
    '10.1.0.0/16',
    'fd00::/8',
    '0.0.0.0/0',
    ':80',
    ':1-100',
    '*',
  ];
  const mixed = sorted.toReversed().map(parseRoutePattern).sort(comparePatterns);
  expect(mixed.map(({ text }) => text).filter(text => text !== 'fd00::/8')).toEqual(
    sorted.filter(text => text !== 'fd00::/8'),
  );
});
