import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { targetOf } from '@podsocks/shared/wire/address';
import { afterAll, expect, it } from 'vitest';
import { parseRouteAcl, readRouteAcl } from './route-acl.ts';
import { Router } from './router.ts';

const folder = mkdtempSync(join(tmpdir(), 'podsocks-route-acl-'));
afterAll(() => rmSync(folder, { recursive: true }));

const parse = (text: string) => parseRouteAcl(text, '--acl my.acl', '--acl: my.acl');

function ways(text: string) {
  const { blocked, lists, default: byDefault = 'tunnel' } = parse(text);
  const router = new Router({ mode: 'rules', rules: [...blocked, ...lists], default: byDefault, namespaces: [] });
  return (host: string) => router.decide(targetOf(host, 443)).way;
}

/** As lists of countries and of blocked sites are written. */
const BYPASS = `# home
[proxy_all]

[bypass_list]
127.0.0.0/8
::1
192.168.0.0/16   # the LAN
172.16.5.4/12
(^|\\.)bank\\.example$
||intranet.example

[proxy_list]
192.168.7.0/24
(^|\\.)git\\.intranet\\.example$
[outbound_block_list]
192.0.2.0/24
ads\\.
`;

it('sends the bypass list directly and all else through the tunnel', () => {
  const way = ways(BYPASS);
  const direct = [
    '127.0.0.1',
    '::1',
    '192.168.1.1',
    '172.31.0.1',
    'bank.example',
    'WWW.Bank.Example.',
    'a.intranet.example',
  ];
  expect(direct.map(way)).toEqual(direct.map(() => 'direct'));
  expect(['10.0.0.1', 'xbank.example', 'bank.example.org', '2001:db8::1'].map(way)).toEqual(Array(4).fill('tunnel'));
});

it('sends directly what both lists have, as shadowsocks-libev does', () => {
  expect(ways(BYPASS)('192.168.7.1')).toBe('direct');
  expect(ways(BYPASS)('git.intranet.example')).toBe('direct');
});

it('rejects the block list before all others', () => {
  const way = ways(BYPASS);
  expect([way('192.0.2.1'), way('ads.example'), way('ads.bank.example')]).toEqual(['reject', 'reject', 'reject']);
});

it('sends the proxy list through the tunnel and all else directly', () => {
  const way = ways('[bypass_all]\n[proxy_list]\n10.0.0.0/8\n(^|\\.)corp\\.example$\n');
  expect(['10.1.1.1', 'corp.example', 'a.corp.example'].map(way)).toEqual(['tunnel', 'tunnel', 'tunnel']);
  expect(['11.1.1.1', 'example.com'].map(way)).toEqual(['direct', 'direct']);
});

it.each([
  ['[accept_all]', 'tunnel'],
  ['[proxy_all]', 'tunnel'],
  ['[reject_all]', 'direct'],
  ['[bypass_all]', 'direct'],
  ['[proxy_all]\n[bypass_all]', 'direct'],
  ['', undefined],
])('%j makes %s the default', (text, way) => {
  expect(parse(text).default).toBe(way);
});

it('knows the other names of the lists, and takes what stands before any for the bypass list', () => {
  expect(parse('10.0.0.0/8').lists).toMatchObject([{ way: 'direct' }]);
  expect(parse('[black_list]\n10.0.0.0/8\n[white_list]\n11.0.0.0/8').lists).toMatchObject([
    { way: 'direct', from: '--acl my.acl: [bypass_list]' },
    { way: 'tunnel', from: '--acl my.acl: [proxy_list]' },
  ]);
});

it('holds expressions for names only', () => {
  expect(ways('[bypass_list]\n\\d\n')('192.0.2.1')).toBe('tunnel');
});

it.each([
  ['[proxy_lists]\n10.0.0.0/8', 1, '[proxy_lists] is not a section that is known; known are [proxy_all]'],
  ['[bypass_list]\n10.0.0.0/33', 2, 'is no network'],
  ['[proxy_list]\n\n(a', 3, 'is no regular expression of JavaScript'],
  ['[bypass_list]\n[[:alpha:]]', 2, 'has an expression that means something else in JavaScript'],
])('%j is refused, with its line', (text, line, message) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(`--acl: my.acl: line ${line}: ${message}`),
    }),
  );
});

it('is read from a file', () => {
  const path = join(folder, 'some.acl');
  writeFileSync(path, '\uFEFF[bypass_all]\r\n[proxy_list]\r\n10.0.0.0/8\r\n');
  expect(readRouteAcl({ value: path, from: '--acl' })).toMatchObject({
    default: 'direct',
    lists: [{ way: 'tunnel', from: `--acl ${path}: [proxy_list]` }],
  });
  expect(() => readRouteAcl({ value: join(folder, 'none'), from: 'SS_ACL' })).toThrow(
    /^SS_ACL: cannot read .*none \(ENOENT\)/,
  );
});
