import type { IncomingMessage } from 'node:http';

/** What proxies call themselves in Via and Proxy-Status: nothing that tells one from another. */
export const PSEUDONYM = 'podsocks';

/** Fields of one hop, whether Connection names them or not (RFC 9110 section 7.6.1), and those between a client and its proxy. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** How a message ends is for each hop to say, whoever says that they are not: these are never taken over by themselves. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'trailer']);

/**
 * The fields that go on, name and value in turn, as they were written and in their order. Those of framing do not.
 *
 * @param raw as Node gives them, or several of a kind would become one.
 * @param others names of more that do not go on, in lower case.
 */
export function endToEnd(raw: readonly string[], others: readonly string[] = []): string[] {
  const dropped = new Set([...others, ...optionsIn(raw)]);
  const fields: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (!HOP_BY_HOP.has(name) && !FRAMING.has(name) && !dropped.has(name)) fields.push(raw[index]!, raw[index + 1]!);
  }
  return fields;
}

/** The same of what comes behind a body, as pairs; there a message must not say where it goes or who sends it. */
export function trailerPairs(raw: readonly string[]): [string, string][] {
  const fields = endToEnd(raw, [
    'host',
    'authorization',
    'cookie',
    'set-cookie',
    'www-authenticate',
    'content-encoding',
  ]);
  return fields.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, fields[index + 1]!]] : []));
}

/** The values of all fields of a name, which is given in lower case. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_value, index) => index % 2 === 1 && raw[index - 1]!.toLowerCase() === name);
}

/** The only transfer coding that Node takes off. */
export function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding']?.toLowerCase() === 'chunked';
}

/** What Connection names. */
function optionsIn(raw: readonly string[]): string[] {
  return valuesOf(raw, 'connection').flatMap(value => value.split(',').map(option => option.trim().toLowerCase()));
}
