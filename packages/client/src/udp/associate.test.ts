import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { DATAGRAM_HEADER_MAX_BYTES, decodeDatagram, encodeDatagramHeader } from '@podsocks/shared/wire/socks5-datagram';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type AssociateOptions, Association } from './associate.ts';
import type { UplinkOptions } from './uplink.ts';
import { bytes, Inbox, type Packet } from './uplink-fixtures.ts';

const ANYWHERE = targetOf('0.0.0.0', 0);
const NAME = targetOf('kube-dns.kube-system.svc', 53);

interface Given {
  readonly declared?: Target;
  readonly ports?: AssociateOptions['ports'];
  /** Of the control connection. */
  readonly local?: string;
  readonly remote?: string;
}

/** An association without a connection and without a server: both are the test's. */
function associate({ declared = ANYWHERE, ports, local = '127.0.0.1', remote = '127.0.0.1' }: Given = {}) {
  const dropped = new Inbox<string>();
  const sent = new Inbox<Packet>();
  let closes = 0;
  let uplink: UplinkOptions;
  const association = new Association({
    control: { socket: { localAddress: local, remoteAddress: remote } } as Connection,
    declared,
    ports,
    total: new DatagramCounts(),
    dropped: reason => dropped.put(reason),
    failed: () => {},
    openUplink: options => {
      uplink = options;
      return {
        send: (target, data, at, length) =>
          sent.put({ target, payload: String(Buffer.from(data.subarray(at, at + length))) }),
        close: () => void closes++,
      };
    },
  });
  onTestFinished(() => association.close());
  /** From the middle of an array that is overwritten as soon as the call returns. */
  const answer = (from: Target, payload: string) => {
    const data = bytes(`..${payload}..`);
    uplink.receive(from, data, 2, data.length - 4);
    data.fill(0xee);
  };
  return { association, dropped, sent, answer, closes: () => closes };
}

/** A program that sends UDP, from a port of its own. */
async function startProgram(host = '127.0.0.1') {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const received = new Inbox<Buffer>();
  socket.on('message', data => received.put(data));
  socket.on('error', () => {});
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= new Promise<void>(resolve => socket.close(resolve));
    return closing;
  };
  onTestFinished(close);
  return { socket, port, received, close };
}

function datagram(target: Target, payload: string): Buffer {
  const header = Buffer.alloc(DATAGRAM_HEADER_MAX_BYTES);
  return Buffer.concat([header.subarray(0, encodeDatagramHeader(header, 0, target)), bytes(payload)]);
}

function opened(data: Buffer) {
  const { fragment, target, payloadAt } = decodeDatagram(data, data.length);
  expect(fragment).toBe(0);
  return { target, payload: String(data.subarray(payloadAt)) };
}

function send({ socket }: { socket: Socket }, { association }: ReturnType<typeof associate>, data: Uint8Array) {
  const { host, port } = association.address;
  return new Promise(resolve => socket.send(data, port, host, resolve));
}

describe.each([
  ['IPv4', { local: '127.0.0.1', remote: '127.0.0.1' }, '127.0.0.1'],
  ['IPv6', { local: '::1', remote: '::1' }, '::1'],
  ['IPv4 at a port for both families', { local: '::ffff:127.0.0.1', remote: '::ffff:127.0.0.1' }, '127.0.0.1'],
])('an association with a client of %s', (_, control, host) => {
  it('has a port at the address that the client has connected to, and carries datagrams both ways', async () => {
    const own = associate(control);
    expect(own.association.address).toEqual(targetOf(host, expect.any(Number) as unknown as number));
    const program = await startProgram(host);
    for (const target of [NAME, targetOf('10.0.0.7', 1), targetOf('2001:db8::1', 65_535)]) {
      for (const payload of ['a question', '']) {
        await send(program, own, datagram(target, payload));
        expect(await own.sent.next()).toEqual({ target, payload });
        own.answer(target, payload);
        expect(opened(await program.received.next())).toEqual({ target, payload });
      }
    }
    expect(own.association.counts.passed()).toEqual({
      packetsUp: 6,
      bytesUp: 30,
      packetsDown: 6,
      bytesDown: 30,
      drops: {},
    });
  });
});

const [linkLocal] = Object.entries(networkInterfaces()).flatMap(([zone, addresses = []]) =>
  addresses.filter(({ address }) => address.startsWith('fe80:')).map(({ address }) => ({ address, zone })),
);

describe(`a link-local address${linkLocal ? '' : ' [SKIPPED: this machine has none]'}`, () => {
  it.skipIf(linkLocal === undefined)('is named without its zone, which means nothing to others', () => {
    const { address, zone } = linkLocal!;
    const at = `${address}%${zone}`;
    expect(associate({ local: at, remote: at }).association.address).toMatchObject({ type: 'ipv6', host: address });
  });
});

describe('an association', () => {
  it('has its client learnt from the first datagram, and hears nobody else then', async () => {
    const own = associate();
    const [client, stranger] = [await startProgram(), await startProgram()];
    await send(client, own, datagram(NAME, 'first'));
    expect((await own.sent.next()).payload).toBe('first');
    await send(stranger, own, datagram(NAME, 'stranger'));
    await send(client, own, datagram(NAME, 'second'));
    expect((await own.sent.next()).payload).toBe('second');
    own.answer(NAME, 'answer');
    expect(opened(await client.received.next()).payload).toBe('answer');
    expect([...own.sent.drain(), ...stranger.received.drain()]).toEqual([]);
  });

  it('is not taken over by a datagram that came together with the first of its client', async () => {
    const own = associate();
    const [client, stranger] = [await startProgram(), await startProgram()];
    // Both are in the socket's buffer before one of them is read.
    const { host, port } = own.association.address;
    client.socket.send(datagram(NAME, 'client'), port, host);
    stranger.socket.send(datagram(NAME, 'stranger'), port, host);
    expect((await own.sent.next()).payload).toBe('client');
    expect(await own.dropped.next()).toBe('stranger');
    expect(own.sent.drain()).toEqual([]);
  });

  it('takes nothing from another host, not even as the first', async () => {
    const own = associate();
    const [stranger, client] = [await startProgram('127.0.0.2'), await startProgram()];
    await send(stranger, own, datagram(NAME, 'stranger'));
    expect(await own.dropped.next()).toBe('stranger');
    await send(client, own, datagram(NAME, 'client'));
    expect((await own.sent.next()).payload).toBe('client');
    expect(own.association.counts.drops).toEqual({ stranger: 1 });
  });

  it.each([
    '127.0.0.1',
    '0.0.0.0', // of a program on this machine that has not bound its socket to an address
  ])('takes nothing from another port than the one that was declared with %s, not even as the first', async host => {
    const [stranger, client] = [await startProgram(), await startProgram()];
    const own = associate({ declared: targetOf(host, client.port) });
    await send(stranger, own, datagram(NAME, 'stranger'));
    expect(await own.dropped.next()).toBe('stranger');
    await send(client, own, datagram(NAME, 'client'));
    expect((await own.sent.next()).payload).toBe('client');
  });

  it.each([
    ['an address behind NAT', targetOf('192.168.1.7', 1)],
    ['a name', targetOf('laptop.example', 1)],
    ['no port', targetOf('127.0.0.1', 0)],
  ])('takes any port of the client that declared %s', async (_, declared) => {
    const own = associate({ declared });
    const client = await startProgram();
    await send(client, own, datagram(NAME, 'client'));
    expect((await own.sent.next()).payload).toBe('client');
  });

  it('drops fragments and what is malformed, each counted, and learns no client from them', async () => {
    const own = associate();
    const [careless, client] = [await startProgram(), await startProgram()];
    const whole = datagram(NAME, '');
    for (const fragment of [1, 0x7f, 0x80, 0xff]) {
      await send(careless, own, Buffer.concat([Uint8Array.of(0, 0, fragment), datagram(NAME, 'part').subarray(3)]));
      expect(await own.dropped.next()).toBe('fragment');
    }
    for (let length = 0; length < whole.length; length++) {
      await send(careless, own, whole.subarray(0, length));
      expect(await own.dropped.next(), `${length} bytes`).toBe('malformed');
    }
    for (const atyp of [0, 2, 5, 0xff]) {
      await send(careless, own, Uint8Array.of(0, 0, 0, atyp, 127, 0, 0, 1, 0, 53));
      expect(await own.dropped.next(), `ATYP ${atyp}`).toBe('malformed');
    }
    await send(careless, own, Uint8Array.of(0, 0, 0, 3, 0, 0, 53));
    expect(await own.dropped.next(), 'an empty name').toBe('malformed');
    expect(own.association.counts.drops).toEqual({ fragment: 4, malformed: whole.length + 5 });
    await send(client, own, datagram(NAME, 'client'));
    expect(await own.sent.take(1)).toEqual([{ target: NAME, payload: 'client' }]);
  });

  it('sends nothing before its client is known', async () => {
    const own = associate();
    own.answer(NAME, 'too early');
    const client = await startProgram();
    await send(client, own, datagram(NAME, 'client'));
    await own.sent.next();
    own.answer(NAME, 'in time');
    expect(opened(await client.received.next()).payload).toBe('in time');
    expect(own.association.counts).toMatchObject({ packetsDown: 1, bytesDown: 7 });
  });

  it('drops an answer that is too long together with its header, and goes on', async () => {
    const own = associate();
    const client = await startProgram();
    await send(client, own, datagram(NAME, 'client'));
    await own.sent.next();
    for (const length of [65_507, 65_535]) {
      own.answer(NAME, 'x'.repeat(length));
      expect(await own.dropped.next(), `${length} bytes`).toBe('too-long');
    }
    own.answer(NAME, 'short');
    expect(opened(await client.received.next()).payload).toBe('short');
  });

  it('outlives that its client has closed its port', async () => {
    const own = associate();
    const client = await startProgram();
    await send(client, own, datagram(NAME, 'client'));
    await own.sent.next();
    const { port } = client;
    await client.close();
    own.answer(NAME, 'to nobody');
    expect(await own.dropped.next()).toBe('unreachable');
    const again = createSocket('udp4');
    onTestFinished(() => void again.close());
    again.bind(port, '127.0.0.1');
    await once(again, 'listening');
    const came = once(again, 'message');
    own.answer(NAME, 'to the same port');
    expect(opened((await came)[0] as Buffer).payload).toBe('to the same port');
  });

  it('counts what its uplink drops', () => {
    let uplink: UplinkOptions | undefined;
    const dropped: string[] = [];
    const association = new Association({
      control: { socket: { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' } } as Connection,
      declared: ANYWHERE,
      ports: undefined,
      total: new DatagramCounts(),
      dropped: reason => dropped.push(reason),
      failed: () => {},
      openUplink: options => {
        uplink = options;
        return { send() {}, close() {} };
      },
    });
    onTestFinished(() => association.close());
    uplink!.dropped('replay');
    uplink!.dropped('replay');
    expect(association.counts.drops).toEqual({ replay: 2 });
    expect(dropped).toEqual(['replay', 'replay']);
  });

  it('outlives a datagram from port 0, which nobody can answer (RFC 768)', async () => {
    // Only raw sockets send them; so it is put into the socket that the association has bound.
    const binding = vi.spyOn(Socket.prototype, 'bind');
    onTestFinished(() => binding.mockRestore());
    const own = associate();
    const bound = binding.mock.contexts[0] as Socket;
    const whole = datagram(NAME, 'from nowhere');
    const from = { address: '127.0.0.1', family: 'IPv4', port: 0, size: whole.length };
    expect(() => bound.emit('message', whole, from)).not.toThrow();
    const client = await startProgram();
    await send(client, own, datagram(NAME, 'client'));
    expect((await own.sent.next()).payload).toBe('client');
    own.answer(NAME, 'answer');
    expect(opened(await client.received.next()).payload).toBe('answer');
  });

  it('leaves its port and its uplink when it is closed', async () => {
    const own = associate();
    const { host, port } = own.association.address;
    own.association.close();
    expect(own.closes()).toBe(1);
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    socket.bind({ address: host, port, exclusive: true });
    await once(socket, 'listening');
    own.answer(NAME, 'too late');
  });
});

describe('with a range of ports', () => {
  /** Three in a row that are free now. */
  async function freeRange(): Promise<{ from: number; to: number }> {
    for (;;) {
      const from = 15_000 + Math.floor(Math.random() * 15_000);
      const sockets = [0, 1, 2].map(offset => {
        const socket = createSocket('udp4');
        socket.bind({ port: from + offset, address: '127.0.0.1', exclusive: true });
        return socket;
      });
      const bound = await Promise.all(
        sockets.map(
          socket =>
            new Promise<boolean>(resolve => {
              socket.once('listening', () => resolve(true));
              socket.once('error', () => resolve(false));
            }),
        ),
      );
      await Promise.all(sockets.map(socket => new Promise<void>(resolve => socket.close(resolve))));
      if (bound.every(Boolean)) return { from, to: from + 2 };
    }
  }

  it('an association has one of them, each another, and none when all are taken', async () => {
    const ports = await freeRange();
    const own = [1, 2, 3].map(() => associate({ ports }));
    const taken = own.map(({ association }) => association.address.port).sort();
    expect(taken).toEqual([ports.from, ports.from + 1, ports.to]);
    expect(() => associate({ ports })).toThrow(
      expect.objectContaining({
        code: 'ERR_LISTEN',
        message: `no UDP port from ${ports.from} to ${ports.to} is free (--udp-ports)`,
      }),
    );
    // Whichever is left is found, wherever the search begins.
    for (const { association } of own) {
      const { port } = association.address;
      association.close();
      expect(associate({ ports }).association.address.port).toBe(port);
    }
  });

  it('an association does not take the port that was just left, while another is free', async () => {
    const ports = await freeRange();
    let last = 0;
    for (let turn = 0; turn < 7; turn++) {
      const { association } = associate({ ports });
      const { port } = association.address;
      association.close();
      expect(port).not.toBe(last);
      last = port;
    }
  });

  it('of one, there is one association at a time, for each address', async () => {
    const { from } = await freeRange();
    const ports = { from, to: from };
    const { association } = associate({ ports });
    expect(() => associate({ ports })).toThrow(expect.objectContaining({ code: 'ERR_LISTEN' }));
    expect(associate({ ports, local: '127.0.0.2' }).association.address).toEqual(targetOf('127.0.0.2', from));
    association.close();
    expect(associate({ ports }).association.address.port).toBe(from);
  });

  it('no uplink is opened when no port is free', async () => {
    const { from } = await freeRange();
    associate({ ports: { from, to: from } });
    let uplinks = 0;
    const again = () =>
      new Association({
        control: { socket: { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' } } as Connection,
        declared: ANYWHERE,
        ports: { from, to: from },
        total: new DatagramCounts(),
        dropped() {},
        failed() {},
        openUplink: () => {
          uplinks++;
          return { send() {}, close() {} };
        },
      });
    expect(again).toThrow(expect.objectContaining({ code: 'ERR_LISTEN' }));
    expect(uplinks).toBe(0);
  });
});

it('an address that this machine does not have is told as such', () => {
  expect(() => associate({ local: '192.0.2.1' })).toThrow(
    expect.objectContaining({ code: 'ERR_LISTEN', message: 'cannot open a UDP port (EADDRNOTAVAIL)' }),
  );
});
