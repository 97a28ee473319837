/**
 * The process that traffic goes to: a source, a sink and an echo on ports of loopback, and an echo of datagrams. Its parent is
 * told the ports.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Connection } from '@podsocks/shared/net/connection';
import { COUNT_BYTES, decodeCount, TARGET_HOST, type TargetPorts } from './commands.ts';
import { datagramSocket } from './datagram-socket.ts';
import { sendBytes } from './sending.ts';

const BACKLOG = 4096;

function source(socket: Socket): void {
  onCount(socket, count => sendBytes(socket, count, () => socket.end()));
}

function echo(socket: Socket): void {
  socket.on('data', bytes => socket.write(bytes));
}

/** Reads into one buffer, unlike the others: a sink has to keep up with whatever it is sent. */
function sink(accepted: Socket): void {
  const connection = Connection.adopt(accepted);
  const { socket } = connection;
  const header = Buffer.alloc(COUNT_BYTES);
  let received = -COUNT_BYTES;
  let expected = Number.POSITIVE_INFINITY;
  connection.receive = (input, length) => {
    if (received < 0) header.set(input.subarray(0, Math.min(length, -received)), COUNT_BYTES + received);
    const hadHeader = received >= 0;
    received += length;
    if (!hadHeader && received >= 0) expected = decodeCount(header);
    if (received === expected) socket.write(header);
    if (received > expected) socket.destroy(new Error('more bytes than announced'));
    return true;
  };
  socket.once('end', () => socket.end());
  socket.resume();
}

function onCount(socket: Socket, act: (count: number) => void): void {
  let header = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    header = Buffer.concat([header, bytes]);
    if (header.length === COUNT_BYTES) act(decodeCount(header));
  });
}

async function listen(serve: (socket: Socket) => void, pauseOnConnect = false): Promise<number> {
  const server = createServer({ noDelay: true, pauseOnConnect }, socket => {
    socket.on('error', () => {}); // whoever connected sees it, too, and tells
    serve(socket);
  });
  server.listen({ port: 0, host: TARGET_HOST, backlog: BACKLOG });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function echoDatagrams(): Promise<number> {
  const socket = datagramSocket();
  socket.on('message', (datagram, { port, address }) => socket.send(datagram, port, address));
  const listening = once(socket, 'listening');
  socket.bind(0, TARGET_HOST);
  await listening;
  return socket.address().port;
}

process.once('disconnect', () => process.exit());
const ports: TargetPorts = {
  source: await listen(source),
  sink: await listen(sink, true),
  echo: await listen(echo),
  datagrams: await echoDatagrams(),
};
process.send!(ports);
