import { describe, expect, it } from 'vitest';
import { parseRouteAcl } from './route-acl.ts';
import type { RouteRule } from './route-rule.ts';
import { browser, PROXY, routerOf, rule, WORD } from './routing-fixtures.ts';

describe('in auto', () => {
  const ask = browser(routerOf({ mode: 'auto', namespaces: ['payments'] }, {}, ['192.168.1.2/24']).pac(PROXY));

  it.each([
    'http://web.default.svc.cluster.local/',
    'https://WEB.default.svc.Cluster.Local./x?y=http://example.com/',
    'http://web.default.svc/',
    'http://info.podsocks.internal/',
    'http://redis/',
    'http://redis:8080/',
    'http://api.default/',
    'http://api.payments/',
    'http://api.podsocks-1/',
    'http://10.96.0.10/',
    'https://10.111.255.255:6443/',
    'http://[fd00:10:96::a]/',
    'http://[fd00:10:96::a]:8080/',
    'http://[::ffff:10.96.0.1]/',
    'ws://10.96.0.1/',
    'http://me:secret@10.96.0.1/',
    'http://1.0.96.10.in-addr.arpa/',
  ])('%s goes to the proxy', url => {
    expect(ask(url)).toBe(WORD);
  });

  it.each([
    'http://example.com/',
    'http://example.com/web.default.svc.cluster.local',
    'http://xcluster.local/',
    'http://redis./',
    'http://a.b.default/',
    'http://localhost/',
    'http://web.localhost:3000/',
    'http://127.0.0.1:8080/',
    'http://[::1]/',
    'http://10.112.0.0/',
    'http://[fd00:10:97::a]/',
    'http://192.168.1.1/',
    'http://10.96.0.1@example.com/',
  ])('%s goes directly', url => {
    expect(ask(url)).toBe('DIRECT');
  });

  it('takes an IPv6 host with brackets, too', () => {
    expect(ask('http://[fd00:10:96::a]/', '[FD00:10:96::A]')).toBe(WORD);
  });
});

it('keeps this machine and its link direct, even where the server allows them', () => {
  const allowed = ['127.0.0.0/8', '169.254.0.0/16', '::1', 'febf::/16', '10.0.0.0/8'];
  const ask = browser(routerOf({ mode: 'auto' }, { allowed }).pac(PROXY));
  const here = ['127.9.9.9', '169.254.1.1', '[::1]', '[febf::1]'];
  expect(here.map(host => ask(`http://${host}/`))).toEqual(here.map(() => 'DIRECT'));
  expect(ask('http://10.0.0.1/')).toBe(WORD);
});

it('sends everything but this machine itself to the proxy, where there is nothing else', () => {
  for (const mode of ['all', 'rules'] as const) {
    const ask = browser(routerOf({ mode }).pac(PROXY));
    const here = ['localhost', 'a.localhost', '127.0.0.1', '127.255.0.1', '[::1]'];
    expect(here.map(host => ask(`http://${host}:3000/`))).toEqual(here.map(() => 'DIRECT'));
    const others = ['example.com', '10.0.0.1', '169.254.1.1', '[2001:db8::1]', 'nas'];
    expect(others.map(host => ask(`http://${host}/`))).toEqual(others.map(() => WORD));
  }
  const ask = browser(routerOf({ rules: [rule('tunnel', 'localhost:8080'), rule('direct', '10.0.0.0/8')] }).pac(PROXY));
  expect(ask('http://localhost:8080/')).toBe(WORD);
  expect(ask('http://10.0.0.1/')).toBe('DIRECT');
});

it('sends what is rejected to the proxy, which says so', () => {
  const ask = browser(routerOf({ mode: 'rules', rules: [rule('reject', 'a.example')], default: 'direct' }).pac(PROXY));
  expect([ask('http://a.example/'), ask('http://b.example/')]).toEqual([WORD, 'DIRECT']);
});

it('knows the ports of schemes', () => {
  const ports = [21, 80, 443, 8443].map(port => rule('tunnel', `:${port}`));
  const proxied = (port: string) => (url: string) =>
    browser(routerOf({ mode: 'rules', rules: [rule('tunnel', `:${port}`)], default: 'direct' }).pac(PROXY))(url) ===
    WORD;
  expect(ports).toHaveLength(4);
  expect(['http://a/', 'ws://a/x', 'HTTP://a', 'https://a:80/', 'http://[::1]/'].map(proxied('80'))).not.toContain(
    false,
  );
  expect(['https://a/', 'wss://a/', 'http://a:443/', 'http://[::1]:443/?:80'].map(proxied('443'))).not.toContain(false);
  expect(proxied('21')('ftp://a/')).toBe(true);
  expect(['http://a/:443', 'gopher://a/', 'nonsense://'].map(url => proxied('443')(url))).not.toContain(true);
});

it('writes the address of the proxy as one that listens at IPv6', () => {
  const pac = routerOf({}).pac({ host: '::1', port: 1081 });
  expect(browser(pac)('http://a.example/')).toBe('PROXY [::1]:1081; SOCKS5 [::1]:1081');
});

it('is ASCII, and nothing in it ends what it stands in', () => {
  const odd = '"];evil()//\\u2028\u2028ü';
  const expressions = [/("|\\\u2028ü)/i, new RegExp(odd.replaceAll(/[[\]()]/g, ''), 'i')];
  const to = expressions.map(expression => ({ kind: 'expression' as const, expression }));
  const rules: RouteRule[] = [
    { way: 'reject', to, from: odd },
    rule('direct', '__proto__'),
    rule('direct', '*.constructor'),
  ];
  const pac = routerOf({ mode: 'rules', rules }).pac(PROXY);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  expect(pac).toMatch(/^[\x00-\x7f]*$/);
  const ask = browser(pac);
  expect(ask('http://__proto__/')).toBe('DIRECT');
  expect(['http://constructor/', 'http://toString/', 'http://a.hasOwnProperty/'].map(url => ask(url))).toEqual([
    WORD,
    WORD,
    WORD,
  ]);
});

it('does without an expression that an engine does not know', () => {
  const known = { kind: 'expression', expression: /^known/i } as const;
  const pac = routerOf({ mode: 'rules', default: 'direct', rules: [{ way: 'tunnel', to: [known], from: '' }] }).pac(
    PROXY,
  );
  const broken = pac.replace('"^known"', '"(?<!","^known"');
  expect(broken).not.toBe(pac);
  expect([browser(broken)('http://known/'), browser(broken)('http://other/')]).toEqual([WORD, 'DIRECT']);
});

it('has no word that came after ECMAScript 3, and none of the functions of PAC', () => {
  const program = routerOf({})
    .pac(PROXY)
    .replaceAll(/'(?:[^'\\\n]|\\.)*'|\/\*.*?\*\/|\/\/ .*/g, '0');
  const later = /\b(let|const|class|async|await|of|yield|import|export|of)\b|=>|`|\.\.\.|\?\.|\?\?|\*\*/;
  expect(program.match(later)?.[0]).toBeUndefined();
  expect(program.match(/,\s*[\]})]/)?.[0]).toBeUndefined(); // JScript counts what is behind the comma
  const methods = [...program.matchAll(/\.([a-zA-Z]+)\(/g)].map(([, name]) => name);
  const ofEs3 = [
    'charAt',
    'concat',
    'exec',
    'indexOf',
    'push',
    'replace',
    'slice',
    'split',
    'test',
    'toLowerCase',
    'toString',
  ];
  expect(methods.filter(name => !ofEs3.includes(name!))).toEqual([]);
  expect(
    program.match(/isInNet|dnsResolve|isResolvable|myIpAddress|shExpMatch|dnsDomainIs|isPlainHostName/),
  ).toBeNull();
});

it('takes a list as long as that of a country', () => {
  const lines = Array.from({ length: 8000 }, (_, i) => `${1 + (i >> 8)}.${i & 255}.0.0/17`);
  const { lists } = parseRouteAcl(`[bypass_list]\n${lines.join('\n')}`, '', '');
  const ask = browser(routerOf({ mode: 'rules', rules: lists }).pac(PROXY));
  expect(['1.0.0.1', '20.77.127.255', '32.63.0.0'].map(host => ask(`http://${host}/`))).toEqual(
    Array(3).fill('DIRECT'),
  );
  expect(['1.0.128.0', '20.77.128.0', '33.0.0.0'].map(host => ask(`http://${host}/`))).toEqual(Array(3).fill(WORD));
});
