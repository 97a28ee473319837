import { describe, expect, test } from 'vitest';
import {
  parseAddress,
  parseCount,
  parseHost,
  parseListenPort,
  parsePort,
  parseSeconds,
  parseUdpTimeout,
  parseWait,
} from './values.ts';

describe('parsers', () => {
  test('take what they are for', () => {
    expect(parsePort('65535')).toBe(65535);
    expect(parseListenPort('0')).toBe(0);
    expect(parseSeconds('1.5')).toBe(1500);
    expect(parseWait('0')).toBe(0);
    expect(parseUdpTimeout('60')).toBe(60_000);
    expect(parseCount('1024')).toBe(1024);
    expect(parseAddress('::1')).toBe('::1');
  });

  test.each([
    ['example.com', { host: 'example.com' }],
    ['example.com:8388', { host: 'example.com', port: 8388 }],
    ['::', { host: '::' }],
    ['[::1]', { host: '::1' }],
    ['[::1]:8388', { host: '::1', port: 8388 }],
    ['10.0.0.1:1', { host: '10.0.0.1', port: 1 }],
    ['fe80::1%eth0', { host: 'fe80::1%eth0' }],
  ])('parseHost reads %s', (text, host) => {
    expect(parseHost(text)).toEqual(host);
  });

  test.each([
    [parsePort, '0', '"0" is not a port; give a number from 1 to 65535'],
    [parsePort, '65536', 'from 1 to 65535'],
    [parsePort, '8388x', '"8388x" is not a port'],
    [parsePort, '-1', 'is not a port'],
    [parsePort, '', 'is not a port'],
    [parsePort, '1e3', 'is not a port'],
    [parseCount, '0', 'give a number from 1'],
    [parseSeconds, '0', 'not a time in seconds'],
    [parseSeconds, '9999999', 'to 2147483'],
    [parseWait, '-1', 'not a time in seconds'],
    [parseUdpTimeout, '59.999', '"59.999" is not a time in seconds that UDP can do with; give a number from 60'],
    [parseUdpTimeout, '9999999', 'to 2147483'],
    [parseHost, '', 'not a host'],
    [parseHost, 'a b', 'not a host'],
    [parseHost, '[example.com]:1', 'not a host'],
    [parseHost, 'example.com:99999', 'not a port'],
    [parseAddress, 'localhost', 'not an IP address'],
  ])('%o refuses %j', (parse, text, complaint) => {
    expect(() => parse(text)).toThrow(complaint);
  });

  test('do not quote an ss:// URL that came to the wrong flag', () => {
    expect(() => parseHost('ss://c2VjcmV0@example.com:1')).toThrow(/^what is given is not a host/);
    expect(() => parseHost('a\u202eb')).toThrow(/^"a\?b" is not a host/);
    expect(() => parseHost('a'.repeat(254))).toThrow(/^"a{40}…" is not a host/);
    expect(parseHost(`${'b'.repeat(253)}.`)).toEqual({ host: `${'b'.repeat(253)}.` });
    expect(() => parsePort('hunter2@example.com')).toThrow(/^what is given/);
  });
});
