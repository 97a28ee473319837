// Asks for an HTTP answer again and again through a SOCKS5 proxy on 127.0.0.1, each time on a connection of its own, and begins the
// next one whatever becomes of those before:
//   node steady-requests.mjs SOCKS_PORT HOST PORT
// On SIGTERM it begins no more, and when all have ended prints [{ begunAt, took, answer | error }, …], in milliseconds.
import { text } from 'node:stream/consumers';
import { SocksClient } from 'socks';

const EVERY_MS = 50;
/** Longer than any request may take. */
const LIMIT_MS = 8_000;

const [socksPort, host, port] = process.argv.slice(2);
const proxy = { host: '127.0.0.1', port: Number(socksPort), type: 5 };
const destination = { host, port: Number(port) };
const requests = [];

const timer = setInterval(() => requests.push(timed()), EVERY_MS);
process.on('SIGTERM', async () => {
  clearInterval(timer);
  process.stdout.write(JSON.stringify(await Promise.all(requests)));
});

async function timed() {
  const begunAt = Date.now();
  const outcome = await request().then(
    answer => ({ answer }),
    error => ({ error: error.message }),
  );
  return { begunAt, took: Date.now() - begunAt, ...outcome };
}

async function request() {
  const { socket } = await SocksClient.createConnection({ proxy, destination, command: 'connect', timeout: LIMIT_MS });
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error(`nothing for ${LIMIT_MS} ms after the connect`)));
  socket.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
  const [head, body] = (await text(socket)).split('\r\n\r\n');
  if (!/^HTTP\/1\.\d 200 /.test(head)) throw new Error(`answered with ${JSON.stringify(head)}`);
  return body;
}
