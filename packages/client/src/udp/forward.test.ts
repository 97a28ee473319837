import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import { dial } from '@podsocks/shared/net/dial';
import { createLogger } from '@podsocks/shared/runtime/log';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ClientGate } from '../listen/client-gate.ts';
import { datagramUplinks } from './datagram-uplink.ts';
import { type DatagramForwardOptions, startDatagramForward } from './forward.ts';
import { streamUplinks } from './stream-uplink.ts';
import type { OpenUplink, UplinkOptions } from './uplink.ts';
import {
  bytes,
  datagramServicesFor,
  Inbox,
  type Packet,
  packetOf,
  serverAt,
  startDatagramServer,
  startStreamServer,
  streamServicesFor,
} from './uplink-fixtures.ts';

const TARGET = targetOf('kube-dns.kube-system.svc', 53);
const LOOPBACK = [{ host: '127.0.0.1', port: 0 }];

/** An uplink without a server, in the test's hands. */
interface FakeUplink {
  readonly options: UplinkOptions;
  readonly sent: Inbox<Packet>;
  closed: boolean;
}

function fakeUplinks() {
  const opened: FakeUplink[] = [];
  const openUplink: OpenUplink = options => {
    const own: FakeUplink = { options, sent: new Inbox(), closed: false };
    opened.push(own);
    return {
      send: (target, data, at, length) =>
        own.sent.put({ target, payload: String(Buffer.from(data.subarray(at, at + length))) }),
      close: () => {
        own.closed = true;
      },
    };
  };
  const answer = ({ options }: FakeUplink, payload: string) => {
    const data = bytes(`..${payload}`);
    options.receive(TARGET, data, 2, data.length - 2);
    data.fill(0xee);
  };
  return { opened, openUplink, answer };
}

async function startForward(given: Partial<DatagramForwardOptions> & Pick<DatagramForwardOptions, 'openUplink'>) {
  const lines: string[] = [];
  const log = createLogger({
    level: 'debug',
    format: 'json',
    name: 'test',
    destination: { write: (line: string) => void lines.push(line) },
  });
  const forward = await startDatagramForward({
    listen: LOOPBACK,
    target: TARGET,
    maxClients: 100,
    idleTimeout: 60_000,
    log,
    ...given,
  });
  onTestFinished(() => forward.close());
  return { forward, lines, at: forward.addresses[0]! };
}

/** A local program. */
async function startProgram({ host, port }: { host: string; port: number }) {
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const received = new Inbox<string>();
  socket.on('message', data => received.put(String(data)));
  socket.on('error', () => {});
  socket.connect(port, host);
  await once(socket, 'connect');
  onTestFinished(() => void socket.close());
  return { socket, received, send: (text: string) => socket.send(text) };
}

/** A server that answers each datagram with who sent it, and its text; the target's address goes with it. */
const SERVERS: readonly { name: string; start: () => Promise<OpenUplink> }[] = [
  {
    name: 'by datagrams',
    async start() {
      const server = await startDatagramServer();
      void (async () => {
        for (;;) {
          const { target, payload } = await server.received.next();
          server.send(server.seal(target, `${target.host} says ${payload}`));
        }
      })();
      return datagramUplinks(datagramServicesFor(serverAt(server.host, server.port)));
    },
  },
  {
    name: 'over TCP',
    async start() {
      const server = await startStreamServer();
      void (async () => {
        for (;;) {
          const { received, send } = await server.connections.next();
          void (async () => {
            for (;;) {
              const { target, payload } = await received.next();
              send(packetOf(target, `${target.host} says ${payload}`));
            }
          })();
        }
      })();
      const { host, port } = server;
      return streamUplinks(
        streamServicesFor(serverAt(host, port), () =>
          dial({ host, port, timeout: 5_000, ipv6First: false, noDelay: true }),
        ),
      );
    },
  },
];

describe.each(SERVERS)('a forwarded port $name', ({ start }) => {
  it('carries datagrams of two local programs, each apart, and empty ones', async () => {
    const { forward, at } = await startForward({ openUplink: await start() });
    const programs = [await startProgram(at), await startProgram(at)];
    for (const text of ['hello', '', 'x'.repeat(9_000)]) {
      for (const [index, { send }] of programs.entries()) send(text && `${index} ${text}`);
      for (const [index, { received }] of programs.entries()) {
        expect(await received.next()).toBe(`${TARGET.host} says ${text && `${index} ${text}`}`);
      }
    }
    expect(programs.flatMap(({ received }) => received.drain())).toEqual([]);
    expect(forward.counts).toMatchObject({ packetsUp: 6, packetsDown: 6, drops: {} });
  });

  it('listens at IPv6, too', async () => {
    const listen = [...LOOPBACK, { host: '::1', port: 0 }];
    const { forward } = await startForward({ openUplink: await start(), listen });
    for (const at of forward.addresses) {
      const { send, received } = await startProgram(at);
      send('hello');
      expect(await received.next()).toBe(`${TARGET.host} says hello`);
    }
  });
});

describe('a forwarded port', () => {
  it('sends all that a program says to its target, by an uplink of its own', async () => {
    const { opened, openUplink, answer } = fakeUplinks();
    const { at } = await startForward({ openUplink });
    const [one, two] = [await startProgram(at), await startProgram(at)];
    one.send('1');
    await expect.poll(() => opened).toHaveLength(1);
    two.send('2');
    await expect.poll(() => opened).toHaveLength(2);
    one.send('3');
    expect(await opened[0]!.sent.take(2)).toEqual([
      { target: TARGET, payload: '1' },
      { target: TARGET, payload: '3' },
    ]);
    expect(await opened[1]!.sent.next()).toEqual({ target: TARGET, payload: '2' });
    answer(opened[1]!, 'for two');
    answer(opened[0]!, 'for one');
    expect([await one.received.next(), await two.received.next()]).toEqual(['for one', 'for two']);
    expect(opened).toHaveLength(2);
  });

  it('gives the programs whatever came right after one another, unmixed', async () => {
    const { opened, openUplink, answer } = fakeUplinks();
    const { at } = await startForward({ openUplink });
    const { send, received } = await startProgram(at);
    send('hello');
    await expect.poll(() => opened).toHaveLength(1);
    const texts = Array.from({ length: 50 }, (_, number) => `answer ${number} ${'x'.repeat(number)}`);
    for (const text of texts) answer(opened[0]!, text);
    expect(await received.take(50)).toEqual(texts);
  });

  it('forgets a program that is idle, and takes it in again', async () => {
    const { opened, openUplink, answer } = fakeUplinks();
    const { at } = await startForward({ openUplink, idleTimeout: 100 });
    const { send, received } = await startProgram(at);
    send('hello');
    await expect.poll(() => opened[0]?.closed).toBe(true);
    send('again');
    await expect.poll(() => opened).toHaveLength(2);
    expect(await opened[1]!.sent.next()).toMatchObject({ payload: 'again' });
    answer(opened[1]!, 'answer');
    expect(await received.next()).toBe('answer');
    await expect.poll(() => opened[1]!.closed).toBe(true);
  });

  it('makes room for another program, at the cap, by the one that was silent for longest', async () => {
    const { opened, openUplink } = fakeUplinks();
    const { at } = await startForward({ openUplink, maxClients: 2 });
    for (let count = 1; count <= 5; count++) {
      (await startProgram(at)).send(`${count}`);
      await expect.poll(() => opened).toHaveLength(count);
      expect(opened.map(({ closed }) => closed)).toEqual(opened.map((_, index) => index < count - 2));
    }
  });

  it('lets in of other machines whom the gate lets in, until they are forgotten', async () => {
    const binding = vi.spyOn(Socket.prototype, 'bind');
    onTestFinished(() => binding.mockRestore());
    const { opened, openUplink } = fakeUplinks();
    const gate = new ClientGate({ allow: ['192.0.2.0/24'], maxPerClient: 2 });
    const { forward, lines, at } = await startForward({ openUplink, gate, idleTimeout: 100 });
    const bound = binding.mock.contexts[0] as Socket;
    const come = (address: string, port: number) =>
      bound.emit('message', Buffer.from('x'), { address, family: 'IPv4', port, size: 1 });
    come('198.51.100.1', 1000);
    expect([opened.length, forward.counts.packetsUp, forward.counts.drops]).toEqual([0, 0, { denied: 1 }]);
    expect(lines.join('')).toContain(
      'a client of another machine was turned away: its network is not let in (--lan-allow)',
    );
    for (const port of [1000, 1001, 1002, 1001]) come('192.0.2.1', port);
    come('192.0.2.2', 1000);
    expect([opened.length, forward.counts.packetsUp, forward.counts.drops]).toEqual([3, 4, { denied: 2 }]);
    (await startProgram(at)).send('of this machine');
    await expect.poll(() => opened).toHaveLength(4);
    await expect.poll(() => opened.every(({ closed }) => closed)).toBe(true);
    come('192.0.2.1', 1002);
    expect(opened).toHaveLength(5);
    await forward.close();
    expect([gate.enter('192.0.2.1'), gate.enter('192.0.2.1')]).toEqual([undefined, undefined]);
  });

  it('counts and logs what an uplink drops, and that the server cannot be reached', async () => {
    const { opened, openUplink } = fakeUplinks();
    const { forward, lines, at } = await startForward({ openUplink });
    const { send } = await startProgram(at);
    send('hello');
    await expect.poll(() => opened).toHaveLength(1);
    opened[0]!.options.dropped('authentication');
    opened[0]!.options.failed(new Error('connection refused'));
    expect(forward.counts.drops).toEqual({ authentication: 1 });
    expect(lines.join('')).toContain('datagram dropped: no key opens it');
    expect(lines.join('')).toContain('the server cannot be reached: connection refused');
  });

  it('outlives that a program has closed its port before the answer', async () => {
    const { opened, openUplink, answer } = fakeUplinks();
    const { at } = await startForward({ openUplink });
    const gone = createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await once(gone, 'listening');
    await new Promise(resolve => gone.send('hello', at.port, at.host, resolve));
    await new Promise<void>(resolve => gone.close(resolve));
    await expect.poll(() => opened).toHaveLength(1);
    answer(opened[0]!, 'to nobody');
    const { send, received } = await startProgram(at);
    send('hello');
    await expect.poll(() => opened).toHaveLength(2);
    answer(opened[1]!, 'answer');
    expect(await received.next()).toBe('answer');
  });

  it('takes nothing from port 0, which nobody can answer (RFC 768)', async () => {
    // Only raw sockets send that; so it is put into the socket that was bound.
    const binding = vi.spyOn(Socket.prototype, 'bind');
    onTestFinished(() => binding.mockRestore());
    const { opened, openUplink, answer } = fakeUplinks();
    const { at } = await startForward({ openUplink });
    const bound = binding.mock.contexts[0] as Socket;
    bound.emit('message', Buffer.from('from nowhere'), { address: '127.0.0.1', family: 'IPv4', port: 0, size: 12 });
    const { send, received } = await startProgram(at);
    send('hello');
    await expect.poll(() => opened).not.toHaveLength(0);
    for (const uplink of opened) expect(() => answer(uplink, 'answer')).not.toThrow();
    expect(await received.next()).toBe('answer');
    expect(opened).toHaveLength(1);
  });

  it('leaves its port and its uplinks when it is closed', async () => {
    const { opened, openUplink } = fakeUplinks();
    const { forward, at } = await startForward({ openUplink });
    (await startProgram(at)).send('hello');
    await expect.poll(() => opened).toHaveLength(1);
    await forward.close();
    expect(opened[0]!.closed).toBe(true);
    const again = await startForward({ openUplink, listen: [at] });
    expect(again.at).toEqual(at);
  });

  it('says which port is taken, and leaves the others', async () => {
    const { openUplink } = fakeUplinks();
    const { at: taken } = await startForward({ openUplink });
    const { forward, at: free } = await startForward({ openUplink });
    await forward.close();
    await expect(startForward({ openUplink, listen: [free, taken] })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringContaining(`UDP 127.0.0.1:${taken.port} is taken by another program`),
    });
    expect((await startForward({ openUplink, listen: [free] })).at).toEqual(free);
  });
});
