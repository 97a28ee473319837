import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { METHOD_NAMES } from '../crypto/methods.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { formatSsUrl, parseSsUrl, type SsUrl } from './ss-url.ts';

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
const base64url = (text: string) => Buffer.from(text, 'utf8').toString('base64url');

const PSK = 'Lc3tTx0BY6ZJ/fCwOx3JvF0I/anhwJBO5p2+FA5Vce4=';

const failure = (url: string): PodsocksError => {
  try {
    parseSsUrl(url);
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    return error as PodsocksError;
  }
  throw new Error('parsed');
};

describe('parseSsUrl', () => {
  test('reads the examples of SIP002', () => {
    expect(parseSsUrl('ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1')).toEqual({
      method: 'aes-128-gcm',
      password: 'test',
      host: '192.168.100.1',
      port: 8888,
      tag: 'Example1',
    });
    expect(
      parseSsUrl(
        'ss://2022-blake3-aes-256-gcm:YctPZ6U7xPPcU%2Bgp3u%2B0tx%2FtRizJN9K8y%2BuKlW2qjlI%3D@192.168.100.1:8888/?plugin=v2ray-plugin%3Bserver#Example3',
      ),
    ).toEqual({
      method: '2022-blake3-aes-256-gcm',
      password: 'YctPZ6U7xPPcU+gp3u+0tx/tRizJN9K8y+uKlW2qjlI=',
      host: '192.168.100.1',
      port: 8888,
      tag: 'Example3',
      plugin: 'v2ray-plugin;server',
    });
  });

  const expected = { method: 'aes-256-gcm', password: '>>>???ä:@/', host: 'example.com', port: 8388 };
  const text = 'aes-256-gcm:>>>???ä:@/';
  test.each([
    ['base64url', `ss://${base64url(text)}@example.com:8388`],
    ['base64 with padding and the other alphabet', `ss://${base64(text)}@example.com:8388`],
    ['base64 with percent-encoded padding', `ss://${encodeURIComponent(base64(text))}@example.com:8388/`],
    ['percent-encoded', `ss://aes-256-gcm:${encodeURIComponent('>>>???ä:@/')}@example.com:8388`],
    ['percent-encoded with its colon', `ss://${encodeURIComponent(text)}@example.com:8388`],
    ['the spelling before SIP002', `ss://${base64(`${text}@example.com:8388`)}`],
    ['the same without padding', `ss://${base64url(`${text}@example.com:8388`)}`],
    ['upper case and white space around', ` SS://${base64url(text)}@example.com:8388\n`],
    ['a method in upper case', `ss://${base64url(text.replace('aes', 'AES'))}@example.com:8388`],
    ['parameters of other programs', `ss://${base64url(text)}@example.com:8388/?group=x&outline=1`],
  ])('reads %s', (_, url) => {
    expect(base64(text)).toMatch(/[+/].*=/);
    expect(parseSsUrl(url)).toEqual(expected);
  });

  test('keeps the colon between the keys of SIP023', () => {
    const url = `ss://2022-blake3-aes-256-gcm:${encodeURIComponent(`${PSK}:${PSK}`)}@[2001:DB8::1]:443#${encodeURIComponent('alicé')}`;
    expect(parseSsUrl(url)).toEqual({
      method: '2022-blake3-aes-256-gcm',
      password: `${PSK}:${PSK}`,
      host: '2001:db8::1',
      port: 443,
      tag: 'alicé',
    });
    expect(parseSsUrl(url.replaceAll('%3A', ':')).password).toBe(`${PSK}:${PSK}`);
  });

  const user = base64url('aes-256-gcm:hunter2');
  test.each([
    ['http://example.com', 'begin with ss://'],
    ['ss://', 'neither method:password nor base64'],
    ['ss://!!!@example.com:1', 'neither method:password nor base64'],
    [`ss://${Buffer.from([0xff, 0xfe, 0xfd]).toString('base64')}@example.com:1`, 'does not hold text'],
    [`ss://${user}`, 'no "@"'],
    [`ss://${user}@example.com`, 'port is missing'],
    [`ss://${user}@example.com:`, 'port is missing'],
    [`ss://${user}@example.com:0`, '1 to 65535'],
    [`ss://${user}@example.com:65536`, '1 to 65535'],
    [`ss://${user}@example.com:http`, '1 to 65535'],
    [`ss://${user}@:8388`, 'host is missing'],
    [`ss://${user}@2001:db8::1:8388`, 'brackets'],
    [`ss://${user}@[example.com]:8388`, 'not an IPv6 address'],
    [`ss://${user}@exa mple.com:8388`, 'character'],
    [`ss://${user}@example.com:8388/path`, 'host:port'],
    [`ss://${user}@example.com:8388#%`, 'tag'],
    [`ss://${user}@example.com:8388?plugin=%`, 'plugin'],
    ['ss://aes-256-gcm:@example.com:1', 'password is missing'],
    [`ss://${base64url('aes-256-gcm')}@example.com:1`, 'password is missing'],
    ['ss://aes-256-gcm:hunter2%@example.com:1', 'percent-encoded'],
    ['ss://hunter2:aes-256-gcm@example.com:1', 'method is not one that is offered'],
    ['ss://rc4-md5:hunter2@example.com:1', 'use one of 2022-blake3-aes-256-gcm'],
    ['ss://aes-256-gcm:x@hunter2@example.com:1', 'percent-encoded'],
    ['ss://aes-256-gcm:x@hunter2', 'port is missing'],
  ])('refuses %s', (url, complaint) => {
    const { code, message } = failure(url);
    expect(code).toBe('ERR_CONFIG');
    expect(message).toContain(complaint);
    expect(message).not.toContain('hunter2');
    expect(message).not.toContain(user);
  });

  test('throws nothing but PodsocksError, whatever the text', () => {
    const pieces = fc.constantFrom(
      'ss://',
      '@',
      ':',
      '/',
      '?',
      '#',
      '%',
      '[',
      ']',
      'plugin=',
      user,
      'aes-256-gcm',
      '1',
    );
    const garbage = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }).map(parts => `ss://${parts.join('')}`),
      fc.uint8Array().map(bytes => `ss://${Buffer.from(bytes).toString('base64')}@example.com:1`),
    );
    fc.assert(
      fc.property(garbage, url => {
        try {
          parseSsUrl(url);
        } catch (error) {
          expect(error).toBeInstanceOf(PodsocksError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('formatSsUrl', () => {
  const server = { host: '2001:db8::1', port: 8388 };

  test('percent-encodes SIP022 and writes SIP004 as base64url without padding', () => {
    expect(formatSsUrl({ method: '2022-blake3-aes-256-gcm', password: `${PSK}:${PSK}`, ...server, tag: 'a b' })).toBe(
      `ss://2022-blake3-aes-256-gcm:${encodeURIComponent(PSK)}%3A${encodeURIComponent(PSK)}@[2001:db8::1]:8388#a%20b`,
    );
    expect(formatSsUrl({ method: 'aes-256-gcm', password: 'x', ...server })).toBe(
      `ss://${base64url('aes-256-gcm:x')}@[2001:db8::1]:8388`,
    );
  });

  test('parses back to what was written', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().map(address => parseSsUrl(`ss://aes-256-gcm:x@[${address}]:1`).host),
    );
    const url: fc.Arbitrary<SsUrl> = fc.record(
      {
        method: fc.constantFrom(...METHOD_NAMES),
        password: text,
        host,
        port: fc.integer({ min: 1, max: 0xffff }),
        tag: text,
        plugin: text,
      },
      { requiredKeys: ['method', 'password', 'host', 'port'] },
    );
    fc.assert(
      fc.property(url, value => {
        expect(parseSsUrl(formatSsUrl(value))).toEqual(value);
      }),
      { numRuns: 1000 },
    );
  });
});
