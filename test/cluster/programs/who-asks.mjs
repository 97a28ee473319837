// Answers with the address that asks, over HTTP and UDP:
//   node who-asks.mjs PORT
// so that a client behind several servers learns which of them has asked for it. A datagram comes back behind that address.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const port = Number(process.argv[2]);

createServer(({ socket }, response) => {
  response.setHeader('connection', 'close');
  response.end(socket.remoteAddress.replace('::ffff:', ''));
}).listen({ port, backlog: 512 });

const echo = createSocket('udp4');
echo.on('message', (payload, { address, port: source }) => echo.send(`${address} ${payload}`, source, address));
echo.bind(port);
