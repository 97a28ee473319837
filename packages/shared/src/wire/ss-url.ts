import { METHOD_NAMES, type MethodName, methodNamed } from '../crypto/methods.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { formatTarget, targetOf } from './address.ts';

/** What an `ss://` URL says (SIP002). */
export interface SsUrl {
  readonly method: MethodName;
  /** As the user would type it; for SIP023 the keys joined by colons. */
  readonly password: string;
  /** A dotted quad, an RFC 5952 IPv6 address without brackets, or a name. */
  readonly host: string;
  readonly port: number;
  readonly tag?: string;
  /** `name;options` of SIP003, decoded. Who uses the URL has to refuse what it cannot run. */
  readonly plugin?: string;
}

/*
 * Three spellings are in use:
 *
 *   ss://base64url(method:password)@host:port/?plugin=…#tag     SIP002
 *   ss://method:password@host:port/?plugin=…#tag                SIP002, percent-encoded; the only one for SIP022
 *   ss://base64(method:password@host:port)#tag                  before SIP002
 *
 * No error quotes any part of the text: where a password was not encoded, what looks like the host can be half of it.
 */

/**
 * Reads an `ss://` URL in any of its spellings, with or without base64 padding, in either base64 alphabet.
 *
 * @throws PodsocksError ERR_CONFIG that says what is wrong and quotes nothing.
 */
export function parseSsUrl(text: string): SsUrl {
  const url = text.trim();
  if (!/^ss:\/\//i.test(url)) throw wrong('it has to begin with ss://');
  const [body, fragment] = cut(url.slice('ss://'.length), '#');
  const { userinfo, authority } = body.includes('@') ? sip002(body) : legacy(body);
  const [method, password] = userinfo;
  if (password === '') throw wrong('the password is missing; it stands behind the method: method:password');
  const { host, port, query } = readAuthority(authority);
  const tag = percentDecoded(fragment, 'the tag');
  const plugin = readPlugin(query);
  return { method: knownMethod(method), password, host, port, ...(tag && { tag }), ...(plugin && { plugin }) };
}

/** Writes the SIP002 spelling that the method asks for: percent-encoded for SIP022, base64url for SIP004. */
export function formatSsUrl(url: SsUrl): string {
  const userinfo =
    methodNamed(url.method).generation === 'sip022'
      ? `${url.method}:${percentEncoded(url.password)}`
      : Buffer.from(`${url.method}:${url.password}`, 'utf8').toString('base64url');
  const query = url.plugin ? `/?plugin=${percentEncoded(url.plugin)}` : '';
  const fragment = url.tag ? `#${percentEncoded(url.tag)}` : '';
  return `ss://${userinfo}@${formatTarget(url)}${query}${fragment}`;
}

interface Parts {
  readonly userinfo: readonly [method: string, password: string];
  /** `host:port`, and what follows up to the tag. */
  readonly authority: string;
}

function sip002(body: string): Parts {
  const [encoded, authority] = cut(body, '@');
  const [method, password] = cut(encoded, ':');
  if (encoded.includes(':')) {
    return { userinfo: [percentDecoded(method, 'the method'), percentDecoded(password, 'the password')], authority };
  }
  // Some generators percent-encode the colon, or the padding of base64.
  const decoded = percentDecoded(encoded, 'what stands before the "@"');
  return { userinfo: cut(decoded.includes(':') ? decoded : base64Decoded(decoded), ':'), authority };
}

function legacy(body: string): Parts {
  const [encoded, query] = cut(body, '?');
  const decoded = base64Decoded(percentDecoded(encoded, 'the base64 part'));
  // Nothing in it is encoded, so a password may hold an "@"; a host cannot.
  const at = decoded.lastIndexOf('@');
  if (at < 0) throw wrong('there is no "@" between the password and the host');
  return { userinfo: cut(decoded.slice(0, at), ':'), authority: `${decoded.slice(at + 1)}?${query}` };
}

/** A method that is not in the table is not quoted either: it may be a password in the wrong place. */
function knownMethod(name: string): MethodName {
  const wanted = name.toLowerCase();
  const method = METHOD_NAMES.find(candidate => candidate === wanted);
  if (!method) throw wrong(`its method is not one that is offered; use one of ${METHOD_NAMES.join(', ')}`);
  return method;
}

function readAuthority(authority: string): { host: string; port: number; query: string } {
  const match = /^(?:\[([^\]]*)\]|([^:/?[\]@]*))(?::([^:/?]*))?\/?(?:\?(.*))?$/su.exec(authority);
  if (!match) {
    throw wrong(
      'what follows the "@" is not host:port; an IPv6 address stands in brackets, and "@" "/" "?" "#" in a password are percent-encoded',
    );
  }
  const [, address, name, digits, query = ''] = match;
  const target = targetOf(address ?? name ?? '', 0);
  if (address !== undefined && target.type !== 'ipv6') throw wrong('what stands in brackets is not an IPv6 address');
  if (target.host === '') throw wrong('the host is missing');
  if (/[\s\p{Cc}%"<>\\^`{|}]/u.test(target.host)) throw wrong('the host has a character that no host has');
  if (!digits) throw wrong('the port is missing');
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > 0xffff) throw wrong('the port has to be a number from 1 to 65535');
  return { host: target.host, port, query };
}

/** SIP002 knows one parameter; those of other programs (`group`, `prefix`, …) change nothing on the wire. */
function readPlugin(query: string): string {
  const parameter = query.split('&').find(candidate => candidate.startsWith('plugin='));
  return parameter === undefined ? '' : percentDecoded(cut(parameter, '=')[1], 'the plugin');
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

function base64Decoded(text: string): string {
  const bare = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  // Buffer.from skips what is not base64, so the spelling is checked first.
  if (!/^[A-Za-z0-9+/]+$/.test(bare) || bare.length % 4 === 1) {
    throw wrong('what follows ss:// is neither method:password nor base64 of it');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bare, 'base64'));
  } catch {
    throw wrong('its base64 part does not hold text');
  }
}

function percentDecoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(`${what} is not percent-encoded UTF-8; write a bare "%" as %25`);
  }
}

/** As encodeURIComponent, which throws at half a surrogate pair; UTF-8 (and so the key) has U+FFFD in its place. */
function percentEncoded(text: string): string {
  return encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'));
}

/** Without `cause`: the system's own messages quote what they choke on. */
function wrong(what: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', `the ss:// URL is not usable: ${what}`);
}
