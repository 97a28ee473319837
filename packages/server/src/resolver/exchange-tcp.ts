import { connect } from 'node:net';
import { type ExchangeOptions, exchange, type Reply, unreachable } from './exchange.ts';
import { decodeAnswer, MalformedMessage } from './message.ts';

/** Ahead of each message, its length (RFC 1035 section 4.2.2). */
const LENGTH_BYTES = 2;

/**
 * Asks by TCP, on a connection of its own: answers that are too long for a datagram are rare, and servers close idle
 * connections soon.
 */
export function exchangeTcp(options: ExchangeOptions): Promise<Reply> {
  const { server, query } = options;
  return exchange(options, settle => {
    const chunks: Buffer[] = [];
    let received = 0;
    let end = Number.POSITIVE_INFINITY;
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < LENGTH_BYTES) return;
      // Once: of a server that sends byte by byte, joining them at each would be 2 GiB to copy.
      if (end === Number.POSITIVE_INFINITY) end = LENGTH_BYTES + Buffer.concat(chunks).readUInt16BE(0);
      if (received >= end) settle(readReply(Buffer.concat(chunks).subarray(LENGTH_BYTES, end), options));
    };
    const socket = connect({ host: server.host, port: server.port, noDelay: true, autoSelectFamily: false });
    socket.on('data', take);
    socket.on('error', error => settle(unreachable(error)));
    socket.on('end', () => settle({ kind: 'malformed', detail: 'the connection ended before the answer' }));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(query.bytes.length);
    socket.write(Buffer.concat([length, query.bytes]));
    return { dispose: () => socket.destroy() };
  });
}

function readReply(message: Buffer, { query }: ExchangeOptions): Reply {
  const answer = decodeAnswer(message, query);
  if (answer === 'foreign') return { kind: 'malformed', detail: 'the answer belongs to another question' };
  if (answer === 'truncated') return { kind: 'malformed', detail: 'the answer is truncated although it came by TCP' };
  if (answer instanceof MalformedMessage) return { kind: 'malformed', detail: answer.message };
  return { kind: 'answer', answer };
}
