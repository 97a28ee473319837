import { describe, expect, it } from 'vitest';
import { parseForward, parseMap } from './fields.ts';
import { checkPlaces, type GivenPlaces } from './places.ts';

const socks = (...hosts: string[]) => hosts.map(host => ({ host, port: 1080 }));
const forwards = (...texts: string[]) => ({ value: texts.map(parseForward), from: '-L (--forward)' });
const maps = (...texts: string[]) => ({ value: texts.map(parseMap), from: '--map' });
const dns = (host: string, port: number) => ({ value: { host, port }, from: '--dns' });

const LOCAL = socks('127.0.0.1');

describe('what is to listen', () => {
  it.each<[GivenPlaces, string]>([
    [
      { socks: [], forwards: forwards('1000:a:1', '127.0.0.1:1000:b:2') },
      '-L (--forward): 127.0.0.1:1000/tcp is to be two things; give each its own port',
    ],
    [
      { socks: LOCAL, forwards: forwards('1080:a:1') },
      '-L (--forward): 127.0.0.1:1080/tcp belongs to SOCKS and HTTP (-b, -l) already; give each its own port',
    ],
    [{ socks: LOCAL, dns: dns('127.0.0.1', 1080) }, '--dns: 127.0.0.1:1080/tcp belongs to SOCKS and HTTP (-b, -l)'],
    [
      { socks: LOCAL, forwards: forwards('53:a:1/udp'), dns: dns('127.0.0.1', 53) },
      '--dns: 127.0.0.1:53/udp belongs to -L (--forward) already',
    ],
    [{ socks: LOCAL, maps: maps('a:53'), dns: dns('127.64.0.1', 53) }, '--dns: 127.64.0.1:53/tcp belongs to --map'],
    [
      { socks: [], forwards: forwards('[0:0::1]:1:a:1', '[::1]:1:a:1') },
      '-L (--forward): [::1]:1/tcp belongs to [0:0::1]:1/tcp of -L (--forward) already',
    ],
    [{ socks: socks('::1', '::1') }, 'SOCKS and HTTP (-b, -l): [::1]:1080/tcp is to be two things; leave one out'],
  ])('has a place each (%#)', (given, message) => {
    expect(() => checkPlaces(given, 'darwin')).toThrow(message);
  });

  it.each<[GivenPlaces, string]>([
    [
      { socks: socks('0.0.0.0'), dns: dns('127.0.0.1', 1080) },
      '--dns: 127.0.0.1:1080/tcp belongs to 0.0.0.0:1080/tcp of SOCKS and HTTP (-b, -l) already',
    ],
    [{ socks: socks('::'), maps: maps('a:1080') }, '--map: 127.64.0.1:1080/tcp belongs to [::]:1080/tcp of SOCKS'],
    [
      { socks: LOCAL, forwards: forwards('0.0.0.0:1080:a:1') },
      '-L (--forward): 0.0.0.0:1080/tcp belongs to 127.0.0.1:',
    ],
    [{ socks: socks('::1'), forwards: forwards('[::]:1080:a:1') }, '-L (--forward): [::]:1080/tcp belongs to [::1]:'],
    [
      { socks: socks('0.0.0.0', '::') },
      'SOCKS and HTTP (-b, -l): [::]:1080/tcp belongs to 0.0.0.0:1080/tcp of SOCKS and HTTP (-b, -l) already; leave one out',
    ],
  ])('has none on Linux where another has all addresses (%#)', (given, message) => {
    expect(() => checkPlaces(given, 'linux')).toThrow(message);
    expect(() => checkPlaces(given, 'darwin')).not.toThrow();
  });

  it.each<[GivenPlaces]>([
    [{ socks: LOCAL, forwards: forwards('1000:a:1', '1000:a:1/udp', '0:a:1', '0:a:1') }],
    [{ socks: LOCAL, forwards: forwards('1080:a:1/udp'), maps: maps('a:1080', 'b:1080'), dns: dns('127.0.0.1', 53) }],
    [{ socks: socks('0.0.0.0'), forwards: forwards('[::1]:1080:a:1', '0.0.0.0:1081:a:1') }],
    [{ socks: LOCAL, dns: { value: undefined, from: '--dns' } }],
  ])('may be much beside each other (%#)', given => {
    expect(() => checkPlaces(given, 'linux')).not.toThrow();
  });
});
