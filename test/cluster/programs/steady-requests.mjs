// Asks for an HTTP answer again and again through a SOCKS5 proxy on 127.0.0.1, each time by a connection of its own, and begins the
// next one whatever becomes of those before:
//   node steady-requests.mjs SOCKS_PORT HOST PORT
// Prints a line { begunAt, took, answer | error } for each that has ended, in milliseconds. On SIGTERM it begins no more.
import { text } from 'node:stream/consumers';
import { SocksClient } from 'socks';

const EVERY_MS = 50;
/** Longer than any request may take. */
const LIMIT_MS = 8_000;

const [socksPort, host, port] = process.argv.slice(2);
const proxy = { host: '127.0.0.1', port: Number(socksPort), type: 5 };
const destination = { host, port: Number(port) };

const timer = setInterval(async () => {
  const begunAt = Date.now();
  const outcome = await request().then(
    answer => ({ answer }),
    error => ({ error: error.message }),
  );
  console.log(JSON.stringify({ begunAt, took: Date.now() - begunAt, ...outcome }));
}, EVERY_MS);
process.on('SIGTERM', () => clearInterval(timer));

async function request() {
  const { socket } = await SocksClient.createConnection({ proxy, destination, command: 'connect', timeout: LIMIT_MS });
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error(`silent for ${LIMIT_MS} ms`)));
  socket.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
  const [head, body] = (await text(socket)).split('\r\n\r\n');
  if (!/^HTTP\/1\.\d 200 /.test(head)) throw new Error(`answered with ${JSON.stringify(head)}`);
  return body;
}
