// Sends datagrams from one port to one of 127.0.0.1, again and again:
//   node steady-datagrams.mjs PORT
// Prints a line { answer } for each that has come back. Ends on SIGTERM.
import { createSocket } from 'node:dgram';

const EVERY_MS = 50;

const port = Number(process.argv[2]);

const socket = createSocket('udp4');
socket.on('message', payload => console.log(JSON.stringify({ answer: String(payload) })));
let sent = 0;
const timer = setInterval(() => socket.send(`${sent++}`, port, '127.0.0.1'), EVERY_MS);
process.on('SIGTERM', () => {
  clearInterval(timer);
  socket.close();
});
