import type { IncomingMessage } from 'node:http';
import { schemeOf } from './absolute-form.ts';

/** Whether a request wants to go on as WebSocket. Of other upgrades none is of use here: HTTP/2 without TLS is the only one that is seen. */
export function isWebSocket(request: IncomingMessage): boolean {
  const { method, url = '', headers, httpVersion } = request;
  const isPlain = method === 'GET' && httpVersion === '1.1' && !hasBody(request) && schemeOf(url) === 'http';
  return isPlain && headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Whether a request for an upgrade has a body: then it is ignored, and the connection ends with its answer. Since 24.9 Node can be told
 * to ignore it, and then loses what comes behind it in the same packet; since 26 it gives away such a connection only wrapped.
 */
export function isUpgradeWithBody(request: IncomingMessage): boolean {
  return request.headers.upgrade !== undefined && hasBody(request);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/** The bytes of a head as it was, but for its Upgrade: an upgrade may be ignored (RFC 9110 section 7.8), and then it is a request like others. */
export function headWithoutUpgrade(request: IncomingMessage): Buffer {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && name.toLowerCase() !== 'upgrade' ? [`${name}: ${rawHeaders[index + 1]}\r\n`] : [],
  );
  if (isUpgradeWithBody(request)) lines.push('Connection: close\r\n');
  return Buffer.from(`${method} ${url} HTTP/${httpVersion}\r\n${lines.join('')}\r\n`, 'latin1');
}
