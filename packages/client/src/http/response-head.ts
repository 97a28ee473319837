import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';

/** What a reason phrase may have (RFC 9112 section 4). Node's parser takes control characters as well, and its server throws at them. */
const REASON = /^[\t -~\u0080-\u00ff]*$/;

/** The reason phrase of a target as it was, or the usual one where it must not go on. */
export function reasonOf(status: number, written = ''): string {
  return REASON.test(written) ? written : (STATUS_CODES[status] ?? '');
}

/**
 * The head of an answer that goes past Node's server, which would look at each field.
 *
 * @param fields name and value in turn.
 * @throws TypeError for a field that could be taken for more than one.
 */
export function encodeHead(status: number, reason: string | undefined, fields: readonly string[]): Buffer {
  let head = `HTTP/1.1 ${status} ${reasonOf(status, reason)}\r\n`;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    validateHeaderName(name);
    validateHeaderValue(name, value);
    head += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, 'latin1');
}
