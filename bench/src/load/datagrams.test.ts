import type { Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { LOOPBACK } from '../ports.ts';
import { datagramSocket } from './datagram-socket.ts';
import { bounce } from './datagrams.ts';

const open: (DatagramSocket | Server)[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const LOAD = { bytes: 64, window: 8, seconds: 0.1 };
const TARGET_PORT = 4242;

/** A UDP port that sends back what `pass` says. */
function echo(pass: (datagram: Buffer) => Buffer | undefined): number {
  const socket = datagramSocket();
  open.push(socket);
  socket.on('message', (datagram, { port, address }) => {
    const answer = pass(datagram);
    if (answer) socket.send(answer, port, address);
  });
  socket.bind(0, LOOPBACK);
  return socket.address().port;
}

/** A SOCKS5 server that gives everybody this answer. */
async function socksServer(code: number, relayPort: number, requests: Buffer[], then = (_: Socket) => {}) {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.of(5, 0));
      socket.once('data', request => {
        requests.push(request as Buffer);
        socket.write(Buffer.of(5, code, 0, 1, 127, 0, 0, 1, relayPort >> 8, relayPort & 0xff));
        then(socket);
      });
    });
  });
  open.push(server);
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

it('counts what comes back and what does not, straight', async () => {
  let count = 0;
  const lengths = new Set<number>();
  const port = echo(datagram => {
    lengths.add(datagram.length);
    return ++count % 50 === 0 ? undefined : datagram;
  });
  const { echoes, lost, seconds } = await bounce({ ...LOAD, route: { port, socksPort: undefined } });
  expect([...lengths]).toEqual([64]);
  expect(echoes + lost).toBe(count);
  expect(lost).toBe(Math.floor(count / 50));
  expect(lost).toBeGreaterThan(0);
  expect(seconds).toBeGreaterThanOrEqual(0.1);
});

it('and through an association', async () => {
  const headers = new Set<string>();
  const lengths = new Set<number>();
  const relayPort = echo(datagram => {
    headers.add(datagram.toString('hex', 0, 10));
    lengths.add(datagram.length);
    return datagram;
  });
  const requests: Buffer[] = [];
  const socksPort = await socksServer(0, relayPort, requests);
  const { echoes, lost } = await bounce({ ...LOAD, route: { port: TARGET_PORT, socksPort } });
  expect(requests).toEqual([Buffer.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0)]);
  expect([...headers]).toEqual([`000000017f000001${TARGET_PORT.toString(16)}`]);
  expect([...lengths]).toEqual([74]);
  expect(echoes).toBeGreaterThan(LOAD.window);
  expect(lost).toBe(0);
});

it.each([
  ['is refused', 7, undefined, 'the SOCKS5 server replies 7'],
  ['is ended', 0, (socket: Socket) => void socket.end(), 'the SOCKS5 server ended the association'],
])('fails when the association %s', async (_, code, then, words) => {
  const socksPort = await socksServer(
    code,
    echo(same => same),
    [],
    then,
  );
  await expect(bounce({ ...LOAD, seconds: 10, route: { port: TARGET_PORT, socksPort } })).rejects.toThrow(words);
});

it.each([
  ['none', () => undefined, /none of \d+ datagrams came back/],
  ['something else', () => Buffer.alloc(63), /an echo of 63 instead of 64 bytes/],
])('fails when %s comes back', async (_, pass, words) => {
  await expect(bounce({ ...LOAD, route: { port: echo(pass), socksPort: undefined } })).rejects.toThrow(words);
});
