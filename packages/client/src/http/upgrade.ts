import type { IncomingMessage } from 'node:http';
import { schemeOf } from './absolute-form.ts';

/** Whether a request wants to go on as WebSocket. Of other upgrades none is of use here: HTTP/2 without TLS is the only one that is seen. */
export function isWebSocket({ method, url = '', headers, httpVersion }: IncomingMessage): boolean {
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  const isPlain = method === 'GET' && httpVersion === '1.1' && !hasBody && schemeOf(url) === 'http';
  return isPlain && headers.upgrade?.toLowerCase() === 'websocket';
}

/** The bytes of a head as it was, but for its Upgrade: an upgrade may be ignored (RFC 9110 section 7.8), and then it is a request like others. */
export function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && name.toLowerCase() !== 'upgrade' ? [`${name}: ${rawHeaders[index + 1]}\r\n`] : [],
  );
  return Buffer.from(`${method} ${url} HTTP/${httpVersion}\r\n${lines.join('')}\r\n`, 'latin1');
}
