import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parseAcl, readAclFile } from './acl.ts';
import { OwnListeners } from './own-listeners.ts';
import { Policy } from './policy.ts';
import { to } from './policy-fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'podsocks-acl-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** shadowsocks-libev's acl/server_block_local.acl in short, with what shadowsocks-rust and its users write besides. */
const ACL = `\uFEFF# All IPs listed here will be blocked while the ss-server try to outbound.
[accept_all]

[outbound_block_list]
10.0.0.0/8
192.0.2.7
172.16.5.4/12   # bits behind the prefix
::ffff:198.51.100.0/120
fc00::/7\r
  (^|\\.)gambling\\.example$
^ads?\\d*\\.
(?i)TRACKER
||tree.example
|exact.example
`;

function blocks(text: string) {
  const path = join(folder, 'acl');
  writeFileSync(path, text);
  const rule = readAclFile({ value: path, from: '--acl' });
  const policy = new Policy({
    rules: rule ? [rule] : [],
    default: 'allow',
    users: [],
    own: new OwnListeners(
      () => [],
      () => 0,
    ),
  });
  return (address: string, name?: string) => !policy.evaluate(to(address, { name })).allowed;
}

it('blocks the addresses of the list', () => {
  const blocked = blocks(ACL);
  const inside = [
    '10.1.2.3',
    '192.0.2.7',
    '172.16.0.1',
    '172.31.255.255',
    '198.51.100.9',
    'fd00::1',
    '::ffff:10.0.0.1',
  ];
  expect(inside.map(address => blocked(address))).not.toContain(false);
  expect(
    ['11.0.0.1', '192.0.2.8', '172.32.0.1', '198.51.101.1', '2001:db8::1'].map(address => blocked(address)),
  ).not.toContain(true);
  // By name as by address.
  expect(blocked('10.1.2.3', 'a.example')).toBe(true);
});

it('blocks the names of the list, whatever they are resolved to', () => {
  const blocked = (name: string) => blocks(ACL)('203.0.113.1', name);
  const inside = ['gambling.example', 'www.Gambling.example.', 'ad.example', 'ads12.example', 'my-tracker.example'];
  expect([...inside, 'tree.example', 'a.b.tree.example', 'EXACT.example'].map(blocked)).not.toContain(false);
  expect(['xgambling.example', 'gambling.example.org', 'a.exact.example', 'xtree.example'].map(blocked)).not.toContain(
    true,
  );
});

it('says where it was blocked', () => {
  const path = join(folder, 'acl');
  writeFileSync(path, '[outbound_block_list]\n10.0.0.0/8');
  expect(readAclFile({ value: path, from: '--acl' })).toMatchObject({ action: 'deny', from: `--acl ${path}` });
});

it('may block nothing', () => {
  expect(blocks('')('10.0.0.1')).toBe(false);
  expect(blocks('[proxy_all]\n[black_list]\n# 10.0.0.0/8\n[outbound_block_list]\n')('10.0.0.1')).toBe(false);
});

it.each([
  ['[reject_all]', 1, '[reject_all] shuts out clients by their address, which is not available; use a NetworkPolicy'],
  ['\n[bypass_all]', 2, '[bypass_all] shuts out clients by their address, which is not available; use a NetworkPolicy'],
  ['# a\n10.0.0.0/8', 2, 'stands before any section, for clients'],
  ['[white_list]\n\n10.0.0.0/8', 3, 'stands in [white_list], for clients; only [outbound_block_list] is available'],
  ['[outbound_block_list]\n10.0.0.0/8\n[black_list]\n10.0.0.0/8', 4, 'stands in [black_list], for clients'],
  ['[outbound_allow_list]\n10.0.0.0/8', 1, '[outbound_allow_list] is not a section that is known'],
  ['[outbound_block_list]\n10.0.0.0/33', 2, 'is no network'],
  ['[outbound_block_list]\n10.0.0/8', 2, 'is no network'],
  ['[outbound_block_list]\n10.0.0', 2, 'is no network'],
  ['[outbound_block_list]\n||10.0.0.1', 2, 'is no name behind the bar'],
  ['[outbound_block_list]\n(a', 2, 'is no regular expression of JavaScript'],
  ['[outbound_block_list]\n(?<=a', 2, 'is no regular expression of JavaScript'],
  ['[outbound_block_list]\na*+b', 2, 'has an expression that means something else in JavaScript'],
  ['[outbound_block_list]\n[[:digit:]]+\\.example$', 2, 'has an expression that means something else in JavaScript'],
  ['[outbound_block_list]\n\\Abad\\.example\\z', 2, 'has an expression that means something else in JavaScript'],
  ['[outbound_block_list]\n\\p{L}+\\.example', 2, 'has an expression that means something else in JavaScript'],
])('%j is refused, with its line', (text, line, message) => {
  expect(() => parseAcl(text, '--acl: x.acl')).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(`--acl: x.acl: line ${line}: ${message}`),
    }),
  );
});

it('that cannot be read is named', () => {
  expect(() => readAclFile({ value: join(folder, 'none'), from: '--acl' })).toThrow(
    /^--acl: cannot read .*none \(ENOENT\)/,
  );
});

it('takes a list as long as that of a country', () => {
  const lines = Array.from({ length: 8000 }, (_, i) => `${1 + (i >> 8)}.${i & 255}.0.0/17`);
  const blocked = blocks(`[outbound_block_list]\n${lines.join('\n')}`);
  expect(['1.0.0.1', '20.77.127.255', '32.63.0.0'].map(address => blocked(address))).not.toContain(false);
  expect(['1.0.128.0', '20.77.128.0', '32.64.0.0', '33.0.0.0'].map(address => blocked(address))).not.toContain(true);
});
