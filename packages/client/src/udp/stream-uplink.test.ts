import { once } from 'node:events';
import type { Connection } from '@podsocks/shared/net/connection';
import { dial } from '@podsocks/shared/net/dial';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { targetOf } from '@podsocks/shared/wire/address';
import { MAGIC_HOST } from '@podsocks/shared/wire/udp-over-tcp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { streamUplinks } from './stream-uplink.ts';
import {
  closed,
  Inbox,
  openUplink,
  type PacketConnection,
  packetOf,
  type StreamServer,
  serverAt,
  startStreamServer,
  streamServicesFor,
} from './uplink-fixtures.ts';

const NAME = targetOf('kube-dns.kube-system.svc', 53);
const ADDRESS = targetOf('10.0.0.7', 5353);

const dialTo = ({ host, port }: StreamServer): Promise<Connection> =>
  dial({ host, port, timeout: 5_000, ipv6First: false, noDelay: true });

async function connected() {
  const server = await startStreamServer();
  const open = streamUplinks(streamServicesFor(serverAt(server.host, server.port), () => dialTo(server)));
  return { server, ...openUplink(open) };
}

/** Dials that wait for the test's word. */
async function dialling() {
  const server = await startStreamServer();
  const dials = new Inbox<{ connect: () => Promise<Connection>; refuse: () => void }>();
  const dialServer = () =>
    new Promise<Connection>((resolve, reject) =>
      dials.put({
        connect: async () => {
          const connection = await dialTo(server);
          resolve(connection);
          return connection;
        },
        refuse: () => reject(new PodsocksError('ERR_DIAL', 'connection refused')),
      }),
    );
  const open = streamUplinks(streamServicesFor(serverAt(server.host, server.port), dialServer));
  return { server, dials, ...openUplink(open) };
}

function aSecondLater(): void {
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 1000);
  onTestFinished(() => clock.mockRestore());
}

describe('an uplink in a stream', () => {
  it('connects with the first packet, as version 2, and tells where that goes', async () => {
    const { server, send } = await connected();
    send(ADDRESS, 'hello');
    const connection = await server.connections.next();
    expect(await connection.opened).toEqual({
      target: { type: 'name', host: MAGIC_HOST, port: 0 },
      isConnect: false,
      first: ADDRESS,
    });
    expect(await connection.received.next()).toEqual({ target: ADDRESS, payload: 'hello' });
  });

  it('carries packets there and back, each with its address', async () => {
    const { server, send, received } = await connected();
    send(NAME, 'first');
    const connection = await server.connections.next();
    await connection.received.next();
    for (const target of [NAME, ADDRESS, targetOf('2001:db8::1', 1)]) {
      for (const payload of ['a question', '', 'x'.repeat(60_000)]) {
        send(target, payload);
        expect(await connection.received.next()).toEqual({ target, payload });
        connection.send(packetOf(target, payload));
        expect(await received.next()).toEqual({ target, payload });
      }
    }
    expect(server.connections.drain()).toEqual([]);
  });

  it('takes packets in any split', async () => {
    const { server, send, received } = await connected();
    send(NAME, 'hello');
    const connection = await server.connections.next();
    await connection.received.next();
    const plain = Buffer.concat([packetOf(NAME, 'one'), packetOf(ADDRESS, ''), packetOf(ADDRESS, 'three')]);
    for (const byte of plain) connection.send(Uint8Array.of(byte));
    expect(await received.take(3)).toEqual([
      { target: NAME, payload: 'one' },
      { target: ADDRESS, payload: '' },
      { target: ADDRESS, payload: 'three' },
    ]);
  });

  it('keeps the order of packets that came while it was dialling, dials once, and goes on behind them', async () => {
    const { server, dials, send, dropped } = await dialling();
    const texts = Array.from({ length: 50 }, (_, number) => `packet ${number}`);
    for (const text of texts) send(NAME, text);
    await (await dials.next()).connect();
    const connection = await server.connections.next();
    await connection.received.next();
    send(ADDRESS, 'last');
    const came = await connection.received.take(50);
    expect(came.map(({ payload }) => payload)).toEqual([...texts.slice(1), 'last']);
    expect([...dials.drain(), ...dropped.drain(), ...server.connections.drain()]).toEqual([]);
  });

  it('drops what is more than may wait for the connection', async () => {
    const { server, dials, send, dropped } = await dialling();
    for (let count = 0; count < 5; count++) send(NAME, 'x'.repeat(60_000));
    expect(dropped.drain()).toEqual(['congested', 'congested', 'congested']);
    await (await dials.next()).connect();
    const connection = await server.connections.next();
    expect(await connection.received.take(2)).toHaveLength(2);
  });

  it('drops what waits, and tells, when dialling fails; a packet a second later dials again', async () => {
    const { server, dials, send, dropped, failed } = await dialling();
    send(NAME, 'one');
    send(NAME, 'two');
    (await dials.next()).refuse();
    expect(await failed.next()).toMatchObject({ code: 'ERR_DIAL', message: 'connection refused' });
    expect(await dropped.take(2)).toEqual(['unreachable', 'unreachable']);
    send(NAME, 'too soon');
    expect(await dropped.next()).toBe('unreachable');
    aSecondLater();
    send(NAME, 'three');
    await (await dials.next()).connect();
    const connection = await server.connections.next();
    expect((await connection.received.next()).payload).toBe('three');
    expect([...dropped.drain(), ...failed.drain()]).toEqual([]);
  });

  it('dials a server that ends connections without an answer once a second', async () => {
    const { server, dials, send, dropped } = await dialling();
    send(NAME, 'one');
    const { socket } = await (await dials.next()).connect();
    (await server.connections.next()).socket.resetAndDestroy();
    await closed(socket);
    send(NAME, 'two');
    expect(dropped.drain()).toEqual(['unreachable']);
    expect(dials.size).toBe(0);
    aSecondLater();
    send(NAME, 'three');
    await (await dials.next()).connect();
    const connection = await server.connections.next();
    expect((await connection.received.next()).payload).toBe('three');
  });

  it('that is closed while it is dialling leaves no connection, and sends nothing', async () => {
    const { server, dials, send, uplink, dropped, failed } = await dialling();
    send(NAME, 'too late');
    uplink.close();
    const ours = await (await dials.next()).connect();
    const { socket, received } = await server.connections.next();
    await once(socket, 'end');
    expect(ours.socket.destroyed).toBe(true);
    expect(received.drain()).toEqual([]);
    send(NAME, 'never');
    expect([...dials.drain(), ...dropped.drain(), ...failed.drain()]).toEqual([]);
  });

  it('that is closed while it is dialling in vain still tells why, and dials no more', async () => {
    const { dials, send, uplink, failed } = await dialling();
    send(NAME, 'too late');
    uplink.close();
    (await dials.next()).refuse();
    expect(await failed.next()).toMatchObject({ code: 'ERR_DIAL' });
    send(NAME, 'never');
    expect(dials.drain()).toEqual([]);
  });

  it('ends its connection when it is closed', async () => {
    const { server, send, uplink } = await connected();
    send(NAME, 'hello');
    const { socket, received } = await server.connections.next();
    await received.next();
    const ended = once(socket, 'end');
    uplink.close();
    await ended;
    socket.end();
    await closed(socket);
    expect(socket.errored).toBeNull();
    send(NAME, 'never');
    expect([...server.connections.drain(), ...received.drain()]).toEqual([]);
  });

  it.each<[string, (connection: PacketConnection) => void]>([
    ['ended in order', ({ socket }) => socket.end()],
    ['reset', ({ socket }) => socket.resetAndDestroy()],
  ])('connects anew with the next packet after the server %s', async (_, end) => {
    const { server, send, received, failed } = await connected();
    send(NAME, 'first');
    for (let turn = 0; turn < 3; turn++) {
      const connection = await server.connections.next();
      expect((await connection.received.next()).payload).toBe(turn === 0 ? 'first' : `again ${turn}`);
      connection.send(packetOf(NAME, `answer ${turn}`));
      expect((await received.next()).payload).toBe(`answer ${turn}`);
      end(connection);
      await closed(connection.socket);
      await expect
        .poll(() => {
          // A packet may still go into the connection that has just ended, and is lost then, as UDP may.
          send(NAME, `again ${turn + 1}`);
          return server.connections.size;
        })
        .toBeGreaterThan(0);
    }
    for (const error of failed.drain()) expect(error).not.toBeInstanceOf(PodsocksError);
  });

  it('gives up a server whose answer is not of this key, tells, and connects anew', async () => {
    const { server, send, received, failed } = await connected();
    send(NAME, 'hello');
    const first = await server.connections.next();
    await first.received.next();
    first.socket.write(new Uint8Array(200));
    expect(await failed.next()).toBeInstanceOf(PodsocksError);
    await closed(first.socket);
    aSecondLater();
    send(NAME, 'again');
    const second = await server.connections.next();
    expect((await second.received.next()).payload).toBe('again');
    expect(received.drain()).toEqual([]);
  });

  it('gives up a server that sends what is no packet, and connects anew', async () => {
    const { server, send, failed } = await connected();
    send(NAME, 'hello');
    const first = await server.connections.next();
    await first.received.next();
    first.send(Uint8Array.of(0x7f, 0, 0, 0, 0, 0, 0, 0, 0));
    expect(await failed.next()).toMatchObject({ code: 'ERR_ADDRESS' });
    aSecondLater();
    send(NAME, 'again');
    const second = await server.connections.next();
    expect((await second.received.next()).payload).toBe('again');
  });

  it('tells of a stream that ends in the middle of a packet', async () => {
    const { server, send, failed, received } = await connected();
    send(NAME, 'hello');
    const { socket, send: answer, received: came } = await server.connections.next();
    await came.next();
    answer(packetOf(NAME, 'an answer').subarray(0, 12));
    socket.end();
    expect(await failed.next()).toMatchObject({ code: 'ERR_TRUNCATED' });
    expect(received.drain()).toEqual([]);
  });

  it('ends when it is idle, says nothing of it, and connects anew', async () => {
    const server = await startStreamServer();
    const services = streamServicesFor(serverAt(server.host, server.port), () => dialTo(server), 20);
    const { send, failed } = openUplink(streamUplinks(services));
    send(NAME, 'hello');
    const first = await server.connections.next();
    await closed(first.socket);
    send(NAME, 'again');
    await server.connections.next();
    expect(failed.drain()).toEqual([]);
  });

  it('drops what no packet can hold, or has no address, and goes on', async () => {
    const { server, send, dropped } = await connected();
    send(NAME, 'hello');
    const connection = await server.connections.next();
    await connection.received.next();
    send(NAME, new Uint8Array(65_536));
    expect(await dropped.next()).toBe('too-long');
    send({ type: 'name', host: '', port: 53 }, 'nobody');
    expect(await dropped.next()).toBe('malformed');
    send(NAME, 'x'.repeat(65_535));
    expect((await connection.received.next()).payload).toHaveLength(65_535);
  });

  it('drops what the server does not read, and does not pile it up', async () => {
    const { server, send, dropped } = await connected();
    send(NAME, 'hello');
    const connection = await server.connections.next();
    await connection.received.next();
    connection.socket.pause();
    const payload = 'x'.repeat(60_000);
    let sent = 0;
    for (; sent < 2000 && dropped.size === 0; sent++) {
      send(NAME, payload);
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(await dropped.next()).toBe('congested');
    connection.socket.resume();
    for (let count = 1; count < sent; count++) expect((await connection.received.next()).payload).toBe(payload);
    const passes = () => {
      send(NAME, 'after');
      return connection.received.drain().at(-1)?.payload;
    };
    await expect.poll(passes).toBe('after');
  });
});
