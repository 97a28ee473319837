import { isIP, isIPv6 } from 'node:net';
import { PodsocksError } from '../runtime/errors.ts';
import { hasUnseen, quotedBriefly } from '../runtime/printable.ts';

export const asText = (text: string): string => text;

function parseNumber(text: string, pattern: RegExp, min: number, max: number, what: string): number {
  const value = pattern.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not ${what}; give a number from ${min} to ${max}`);
}

/** A whole number from 1 up. */
export const parseCount = (text: string): number => parseNumber(text, /^\d+$/, 1, 2 ** 31 - 1, 'a count');

/** The port of a peer. */
export const parsePort = (text: string): number => parseNumber(text, /^\d+$/, 1, 0xffff, 'a port');

/** The port of a listener, where 0 asks the system for a free one. */
export const parseListenPort = (text: string): number => parseNumber(text, /^\d+$/, 0, 0xffff, 'a port');

/** More would overflow the 31 bits of a timer's milliseconds, which then fires at once. */
const MAX_SECONDS = 2_147_483;

/** Seconds on the command line, milliseconds within. */
export const parseSeconds = (text: string): number =>
  parseNumber(text, /^\d+(\.\d+)?$/, 0.001, MAX_SECONDS, 'a time in seconds') * 1000;

/** As {@link parseSeconds}, where 0 means not to wait. */
export const parseWait = (text: string): number =>
  parseNumber(text, /^\d+(\.\d+)?$/, 0, MAX_SECONDS, 'a time in seconds') * 1000;

/** SIP022 section 3.2.4 wants sessions to be remembered for a minute. */
const MIN_UDP_SECONDS = 60;

/** The idle timeout of UDP associations: seconds on the command line, milliseconds within. */
export const parseUdpTimeout = (text: string): number =>
  parseNumber(text, /^\d+(\.\d+)?$/, MIN_UDP_SECONDS, MAX_SECONDS, 'a time in seconds that UDP can do with') * 1000;

export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return text => {
    const choice = choices.find(candidate => candidate === text);
    if (choice !== undefined) return choice;
    throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not one of ${choices.join(', ')}`);
  };
}

export interface HostPort {
  readonly host: string;
  readonly port?: number;
}

/** RFC 1035 section 2.3.4, as text and without the dot at its end. */
const MAX_NAME_LENGTH = 253;

/** `host`, `host:port`, `[IPv6]:port` or a bare IPv6 address, as shadowsocks-libev takes them. */
export function parseHost(text: string): HostPort {
  if (isIPv6(text)) return { host: text };
  const [, address, name, port] = /^(?:\[([^\]]+)\]|([^\s:/?#[\]@%]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = address ?? name;
  const isName = name !== undefined && name.replace(/\.$/, '').length <= MAX_NAME_LENGTH && !hasUnseen(name);
  if (host === undefined || !(isName || isIPv6(address ?? ''))) {
    throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not a host; give a name, an IP address or host:port`);
  }
  return port === undefined ? { host } : { host, port: parseListenPort(port) };
}

/** An IP address of this machine. */
export function parseAddress(text: string): string {
  if (isIP(text)) return text;
  throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not an IP address; give one of this machine's addresses`);
}

/** For messages: short, on one line, and not at all where it looks like an ss:// URL in the wrong place. */
function quoted(text: string): string {
  return /@|:\/\//.test(text) ? 'what is given' : quotedBriefly(text);
}
