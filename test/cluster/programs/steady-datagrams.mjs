// Sends a datagram again and again to a port of 127.0.0.1:
//   node steady-datagrams.mjs PORT
// On SIGTERM it ends, and prints what came back as [{ at, answer }, …].
import { createSocket } from 'node:dgram';

const EVERY_MS = 50;

const port = Number(process.argv[2]);
const answers = [];

const socket = createSocket('udp4');
socket.on('message', payload => answers.push({ at: Date.now(), answer: String(payload) }));
let sent = 0;
const timer = setInterval(() => socket.send(`${sent++}`, port, '127.0.0.1'), EVERY_MS);
process.on('SIGTERM', () => {
  clearInterval(timer);
  socket.close();
  process.stdout.write(JSON.stringify(answers));
});
