import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';

/** An answer of ss-local itself. */
export interface OwnAnswer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** For any browser that shows one: it is what it says, from nowhere else, for nobody else, and not to be kept. */
const ALWAYS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
} as const;

export function ownAnswer(
  status: number,
  contentType: string,
  body: string,
  fields: Readonly<Record<string, string>> = {},
): OwnAnswer {
  const bytes = Buffer.from(body);
  return {
    status,
    body: bytes,
    fields: { 'Content-Type': contentType, 'Content-Length': String(bytes.length), ...ALWAYS, ...fields },
  };
}

/** One line that says what is wrong. */
export function textAnswer(status: number, text: string, fields?: Readonly<Record<string, string>>): OwnAnswer {
  return ownAnswer(status, 'text/plain; charset=utf-8', `${text}\n`, fields);
}

/** Answers, and reads no body that would only be thrown away: then the connection ends behind it. */
export function answerWith(request: IncomingMessage, response: ServerResponse, answer: OwnAnswer): void {
  const ends = request.complete ? {} : { Connection: 'close' };
  // Said expressly, or it would be that of a head which was to be sent before and was not.
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? '', { ...answer.fields, ...ends });
  response.end(answer.body);
  request.resume();
}

/** The bytes of an answer for where there is no response object; the connection ends behind it. */
export function encodeAnswer({ status, fields, body }: OwnAnswer): Uint8Array {
  const lines = Object.entries({ ...fields, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
