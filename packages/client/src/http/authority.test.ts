import { describe, expect, it } from 'vitest';
import { parseAbsoluteForm, schemeOf } from './absolute-form.ts';
import { parseAuthority } from './authority.ts';

/** As Node's parser gives bytes. */
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

describe('an authority', () => {
  it.each([
    ['web:80', { type: 'name', host: 'web', port: 80 }],
    ['web', { type: 'name', host: 'web', port: 1080 }],
    ['web:', { type: 'name', host: 'web', port: 1080 }],
    ['web.default.svc.cluster.local.:1', { type: 'name', host: 'web.default.svc.cluster.local.', port: 1 }],
    ['WEB:00080', { type: 'name', host: 'WEB', port: 80 }],
    ['10.0.0.1:65535', { type: 'ipv4', host: '10.0.0.1', port: 65535 }],
    ['010.0.0.1:80', { type: 'name', host: '010.0.0.1', port: 80 }],
    ['[::1]', { type: 'ipv6', host: '::1', port: 1080 }],
    ['[2001:DB8:0::1]:443', { type: 'ipv6', host: '2001:db8::1', port: 443 }],
    [latin1('bücher:80'), { type: 'name', host: 'bücher', port: 80 }],
    [`${'a'.repeat(255)}:80`, { type: 'name', host: 'a'.repeat(255), port: 80 }],
  ])('%s', (text, target) => expect(parseAuthority(text, 1080)).toEqual(target));

  it.each([
    '',
    ':80',
    'a b:80',
    'a\tb:80',
    'a\r\nb:80',
    'a\u0000b:80',
    latin1('a\u0085b:80'),
    latin1('a\u202eb:80'),
    'b\u00fccher:80',
    'a@b:80',
    'a%20b:80',
    'a/b:80',
    'a\\b:80',
    'a?b:80',
    'a#b:80',
    'a:b:80',
    '::1',
    '[::1',
    '::1]:80',
    '[::1]80',
    '[::g]:80',
    '[1.2.3.4]:80',
    '[fe80::1%eth0]:80',
    '[web]:80',
    'a:0',
    'a:65536',
    'a:-1',
    'a:+1',
    'a: 1',
    'a:0x50',
    'a:000080',
    `${'a'.repeat(256)}:80`,
    latin1(`${'ü'.repeat(128)}:80`),
  ])('is not %j', text => {
    expect(() => parseAuthority(text, 1080)).toThrow(expect.objectContaining({ code: 'ERR_ADDRESS' }));
  });

  it('has a port where there is no default', () => {
    for (const text of ['a', 'a:', '[::1]']) expect(() => parseAuthority(text)).toThrow('there is no port');
  });
});

describe('an absolute-form', () => {
  const parsed = (url: string, method = 'GET') => {
    const { target, authority, path } = parseAbsoluteForm(method, url);
    return [`${target.host} ${target.port}`, authority, path];
  };

  it.each([
    ['http://web', ['web 80', 'web', '/']],
    ['HTTP://web/', ['web 80', 'web', '/']],
    ['http://web:8080', ['web 8080', 'web:8080', '/']],
    ['http://web:/a', ['web 80', 'web', '/a']],
    ['http://web?a=b', ['web 80', 'web', '/?a=b']],
    ['http://web/a//../%2e%2E/b;c?d=http://e/f?g', ['web 80', 'web', '/a//../%2e%2E/b;c?d=http://e/f?g']],
    ['http://[::1]:81/@a:b', ['::1 81', '[::1]:81', '/@a:b']],
  ])('%s', (url, destination) => expect(parsed(url)).toEqual(destination));

  it('is of a whole server for OPTIONS only', () => {
    expect(parsed('http://web', 'OPTIONS')[2]).toBe('*');
    expect(parsed('http://web/', 'OPTIONS')[2]).toBe('/');
  });

  it.each([
    'https://web/',
    'http:/web',
    'http:web',
    'http://',
    'http:///a',
    'http://a#b',
    'http://a/#b',
    'http://a@b/',
    'web',
    '',
  ])('is not %j', url => expect(() => parsed(url)).toThrow(expect.objectContaining({ code: 'ERR_ADDRESS' })));

  it.each([
    ['http://a', 'http'],
    ['HTTPS://a', 'https'],
    ['ftp:a', 'ftp'],
    ['/http://a', undefined],
    ['*', undefined],
    ['', undefined],
  ])('%j is of %s', (url, scheme) => expect(schemeOf(url)).toBe(scheme));
});
