// Answers with the address that asks, over HTTP and UDP:
//   node who-asks.mjs PORT
// so that it can be told which of several servers a client has gone through.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const port = Number(process.argv[2]);

createServer(({ socket }, response) => {
  response.setHeader('connection', 'close');
  response.end(socket.remoteAddress.replace('::ffff:', ''));
}).listen({ port, backlog: 512 });

const datagrams = createSocket('udp4');
datagrams.on('message', (_, { address, port: source }) => datagrams.send(address, source, address));
datagrams.bind(port);
