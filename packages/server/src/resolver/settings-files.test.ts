import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseResolvConf } from '@podsocks/shared/dns/resolv-conf';
import { WatchedFile } from '@podsocks/shared/dns/watched-file';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseHosts } from './hosts-file.ts';

const DEFAULTS = {
  servers: [{ host: '127.0.0.1', port: 53 }],
  search: [],
  ndots: 1,
  timeout: 5000,
  attempts: 2,
  rotate: false,
};

describe('resolv.conf', () => {
  it('of a pod', () => {
    const text = `search default.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
`;
    expect(parseResolvConf(text)).toEqual({
      ...DEFAULTS,
      servers: [{ host: '10.96.0.10', port: 53 }],
      search: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      ndots: 5,
    });
  });

  it.each([
    [undefined, {}],
    ['', {}],
    ['# nameserver 1.1.1.1\n;nameserver 1.1.1.1\n nameserver 1.1.1.1\nnameserver1.1.1.1\nnameserver\n', {}],
    ['nameserver 1.1.1.1#x\nnameserver 256.1.1.1\nnameserver dns\n', { servers: [{ host: '1.1.1.1', port: 53 }] }],
    ['nameserver\t::1 \r\n', { servers: [{ host: '::1', port: 53 }] }],
    ['search a b\nsearch  C.\td .\r\n', { search: ['c', 'd', ''] }],
    ['search a\nsearch\n', { search: ['a'] }],
    ['search a b\ndomain c d\n', { search: ['c'] }],
    ['domain c\nsearch a bad..name a\n', { search: ['a'] }],
    ['options ndots:99 timeout:99 attempts:99 rotate debug', { ndots: 15, timeout: 30_000, attempts: 5, rotate: true }],
    ['options ndots:0 timeout:0 attempts:0', { ndots: 0, timeout: 1000, attempts: 1 }],
    ['options ndots:5\noptions ndots:2 timeout:x attempts:\n', { ndots: 2 }],
  ])('%j', (text, differs) => {
    expect(parseResolvConf(text)).toEqual({ ...DEFAULTS, ...differs });
  });

  it('has three servers at most, and the domain of the host where it says none', () => {
    const text = [1, 2, 3, 4].map(i => `nameserver 10.0.0.${i}`).join('\n');
    expect(parseResolvConf(text).servers.map(({ host }) => host)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(parseResolvConf('', 'node1.Example.com').search).toEqual(['example.com']);
    expect(parseResolvConf('search a', 'node1.example.com').search).toEqual(['a']);
    expect(parseResolvConf('', 'node1').search).toEqual([]);
  });

  it('may be any text', () => {
    const word = fc.constantFrom(
      'nameserver',
      'search',
      'options',
      'ndots:',
      '1.1.1.1',
      '::1',
      ' ',
      '\n',
      '\t',
      '#',
      '\0',
      ':',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(word, fc.string())).map(words => words.join('')),
    );
    fc.assert(
      fc.property(text, any => {
        const { servers, ndots, timeout, attempts } = parseResolvConf(any);
        expect(servers.length).toBeGreaterThan(0);
        for (const number of [ndots, timeout, attempts]) expect(Number.isInteger(number)).toBe(true);
        parseHosts(any);
      }),
    );
  });
});

it('hosts', () => {
  const text = `# comment
127.0.0.1 localhost
10.0.0.1\tPod pod-0 # pod-1
fd00:0::1 pod
10.0.0.1 pod
10.0.0.2
0x7f000001 evil
127.1 evil
fe80::1%eth0 evil
10.0.0.3 a..b dot. x\r
`;
  expect([...parseHosts(text)]).toEqual([
    ['localhost', [{ address: '127.0.0.1', family: 4 }]],
    [
      'pod',
      [
        { address: '10.0.0.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ],
    ],
    ['pod-0', [{ address: '10.0.0.1', family: 4 }]],
    ['x', [{ address: '10.0.0.3', family: 4 }]],
  ]);
});

describe('a watched file', () => {
  it('is read when it is written, replaced, removed and made, but looked at once a second', () => {
    const folder = mkdtempSync(join(tmpdir(), 'podsocks-watched-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'file');
    let time = 0;
    let parsed = 0;
    const file = new WatchedFile({
      path,
      now: () => time,
      parse: text => {
        parsed++;
        return { text };
      },
    });
    const read = () => {
      time += 1000;
      return file.content().text;
    };
    expect(read()).toBeUndefined();
    writeFileSync(path, 'one');
    expect(file.content().text).toBeUndefined();
    expect(read()).toBe('one');
    writeFileSync(`${path}.new`, 'two');
    renameSync(`${path}.new`, path);
    expect(read()).toBe('two');
    expect(read()).toBe('two');
    expect(file.content()).toBe(file.content());
    expect(parsed).toBe(3);
    rmSync(path);
    expect(read()).toBeUndefined();
  });
});
