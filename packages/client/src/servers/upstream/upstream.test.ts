import { describe, expect, it } from 'vitest';
import { formatUpstream, parseUpstream } from './upstream.ts';

describe('the URL of a proxy', () => {
  it.each([
    ['socks5://10.0.0.1:1080', { kind: 'socks5', host: '10.0.0.1', port: 1080 }],
    ['socks5h://proxy.example:1080/', { kind: 'socks5', host: 'proxy.example', port: 1080 }],
    ['http://proxy.example:3128', { kind: 'http', host: 'proxy.example', port: 3128 }],
    ['http://proxy.example:80', { kind: 'http', host: 'proxy.example', port: 80 }],
    ['http://[::1]:8080', { kind: 'http', host: '::1', port: 8080 }],
    [
      'http://ada:p%40ss%3Aword@10.0.0.1:3128',
      { kind: 'http', host: '10.0.0.1', port: 3128, user: { name: 'ada', password: 'p@ss:word' } },
    ],
    ['socks5://a:b@h:1', { kind: 'socks5', host: 'h', port: 1, user: { name: 'a', password: 'b' } }],
  ])('%s', (text, expected) => {
    expect(parseUpstream(text)).toEqual(expected);
  });

  it.each([
    ['10.0.0.1:3128', 'is not the URL of a proxy'],
    ['proxy:3128', 'scheme'],
    ['proxy', 'is not the URL of a proxy'],
    ['https://hunter2@proxy:443', 'scheme'],
    ['socks4://hunter2:x@proxy:1080', 'scheme'],
    ['http://hunter2:x@proxy', 'has no port'],
    ['http://hunter2:x@proxy:0', 'has no port'],
    ['http://hunter2:x@proxy:99999', 'is not the URL'],
    ['http://hunter2:x@proxy:3128/path', 'behind the port'],
    ['http://hunter2:x@proxy:3128?x', 'behind the port'],
    ['http://:hunter2@proxy:3128', 'has a password and no user'],
    ['http://%zz:hunter2@proxy:3128', 'a % that begins nothing'],
    ['http://a%3Ab:hunter2@proxy:3128', 'a user with a colon'],
    ['socks5://hunter2@proxy:1080', 'each has 1 to 255 bytes'],
    [`socks5://a:hunter2${'x'.repeat(255)}@proxy:1080`, 'each has 1 to 255 bytes'],
  ])('%s is refused, and not quoted', (text, complaint) => {
    expect(() => parseUpstream(text)).toThrow(complaint);
    expect(() => parseUpstream(text)).not.toThrow('hunter2');
  });

  it('is printed without the password', () => {
    expect(formatUpstream(parseUpstream('http://ada:hunter2@10.0.0.1:3128'))).toBe('http://ada:…@10.0.0.1:3128');
    expect(formatUpstream(parseUpstream('socks5h://[::1]:1080'))).toBe('socks5://[::1]:1080');
  });
});
