import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dialSocket, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StreamOpener } from '../crypto/stream.ts';
import { connect, feed, METHOD_CASES, type MethodCase, sealAll } from '../crypto/stream-fixtures.ts';
import { buffers } from '../runtime/buffer-pool.ts';
import { type Target, targetOf } from '../wire/address.ts';
import { encodePacketHeader, encodeRequest, MAGIC_HOST, PacketReader } from '../wire/udp-over-tcp.ts';
import { Connection } from './connection.ts';
import { IdleClock } from './idle-clock.ts';
import { PacketStream, type PacketStreamOptions } from './packet-stream.ts';

const V4 = targetOf('192.0.2.1', 53);
const V6 = targetOf('2001:db8::1', 443);
const NAME = targetOf('a.example', 53);

interface Packet {
  readonly target: Target;
  readonly data: string;
}

/** A packet as it stands in a stream; without a target in one that is connected. */
function packet(target: Target | undefined, data: string): Buffer {
  const out = Buffer.alloc(300 + data.length);
  const at = encodePacketHeader(out, 0, target, data.length);
  return out.subarray(0, at + out.write(data, at));
}

function request(isConnect: boolean, target: Target): Buffer {
  const out = Buffer.alloc(300);
  return out.subarray(0, encodeRequest(out, 0, { isConnect, target }));
}

/** A server's packet stream, over loopback, whose client the test is. */
interface Served {
  readonly packets: PacketStream;
  readonly connection: Connection;
  readonly client: Socket;
  readonly received: Packet[];
  /** Every call of `ended`. */
  readonly ends: (string | undefined)[];
  /** Bytes for the wire. */
  seal(...payloads: readonly Uint8Array[]): Uint8Array;
  /** What the client gets until the other side ends. */
  plainAnswer(): Promise<Buffer>;
  answers(connected?: Target): Promise<Packet[]>;
}

async function serve(testCase: MethodCase, options: Partial<PacketStreamOptions> = {}): Promise<Served> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = dialSocket({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  server.close();
  const connection = Connection.adopt(accepted);
  onTestFinished(() => {
    client.destroy();
    connection.socket.destroy();
  });

  const ends = connect(testCase, targetOf(MAGIC_HOST, 0));
  feed(ends.opener, [sealAll(ends.sealer, [new Uint8Array(0)])]);
  const received: Packet[] = [];
  const ended: (string | undefined)[] = [];
  const packets = new PacketStream({
    connection,
    opener: ends.opener.accepted!.stream,
    sealer: ends.respond(),
    request: 'await',
    clock: new IdleClock(10_000),
    idleTimeout: 10_000,
    receive: (target, data, at, length) =>
      void received.push({ target, data: Buffer.from(data.subarray(at, at + length)).toString() }),
    ended: error => ended.push(error && 'code' in error ? String(error.code) : error?.message),
    ...options,
  });
  return {
    packets,
    connection,
    client,
    received,
    ends: ended,
    seal: (...payloads) => sealAll(ends.sealer, payloads),
    plainAnswer: () => plainOf(client, ends.openResponse()),
    answers: async connected => packetsIn(await plainOf(client, ends.openResponse()), connected),
  };
}

async function plainOf(socket: Socket, opener: StreamOpener): Promise<Buffer> {
  const plain = feed(opener, [Buffer.concat(await socket.toArray())]);
  opener.end();
  return plain;
}

function packetsIn(plain: Buffer, connected: Target | undefined): Packet[] {
  const found: Packet[] = [];
  const reader = new PacketReader(connected);
  reader.read(plain, 0, plain.length, (target, data, at, length) => {
    found.push({ target, data: Buffer.from(data.subarray(at, at + length)).toString() });
  });
  expect(reader.heldBytes).toBe(0);
  return found;
}

/** Sends one packet; the payload is destroyed when that returns. */
function send(packets: PacketStream, target: Target, data: string): boolean {
  const space = Buffer.from(`..${data}..`);
  const sent = packets.send(target, space, 2, Buffer.byteLength(data));
  space.fill(0xee);
  return sent;
}

const first = (bytes: Uint8Array) => {
  const buffer = buffers.take(bytes.length);
  buffer.set(bytes);
  return { buffer, length: bytes.length, plaintextLength: bytes.length };
};

const CASES = METHOD_CASES.filter(({ name }) => ['2022-blake3-aes-128-gcm', 'aes-128-gcm'].includes(name));

describe.each(CASES)('a stream of packets, $name,', testCase => {
  // The idle clock only; sockets stay real.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  it('gives each packet its target, in both directions', async () => {
    const { packets, client, received, ends, seal, answers } = await serve(testCase);
    packets.start(undefined);
    client.write(seal(request(false, V4), packet(V4, 'to v4'), packet(V6, 'to v6'), packet(NAME, '')));
    await expect
      .poll(() => received)
      .toEqual([
        { target: V4, data: 'to v4' },
        { target: V6, data: 'to v6' },
        { target: NAME, data: '' },
      ]);
    const got = answers();
    expect(send(packets, V6, 'from v6')).toBe(true);
    expect(send(packets, V4, '')).toBe(true);
    packets.close();
    expect(await got).toEqual([
      { target: V6, data: 'from v6' },
      { target: V4, data: '' },
    ]);
    expect(ends).toEqual([]);
  });

  it('leaves targets out where the request was to connect', async () => {
    const { packets, client, received, seal, answers } = await serve(testCase);
    packets.start(undefined);
    client.write(seal(request(true, NAME), packet(undefined, 'one'), packet(undefined, 'two')));
    await expect
      .poll(() => received)
      .toEqual([
        { target: NAME, data: 'one' },
        { target: NAME, data: 'two' },
      ]);
    const got = answers(NAME);
    send(packets, V4, 'answer');
    packets.close();
    expect(await got).toEqual([{ target: NAME, data: 'answer' }]);
  });

  it('has no request in version 1', async () => {
    const { packets, client, received, seal } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    client.write(seal(packet(V4, 'at once')));
    await expect.poll(() => received).toEqual([{ target: V4, data: 'at once' }]);
  });

  it('sends its request ahead of the first packet, once', async () => {
    const asked = request(false, V4);
    const { packets, plainAnswer } = await serve(testCase, { request: { send: asked } });
    packets.start(undefined);
    const got = plainAnswer();
    send(packets, V4, 'one');
    send(packets, V6, 'two');
    packets.close();
    expect(await got).toEqual(Buffer.concat([asked, packet(V4, 'one'), packet(V6, 'two')]));
  });

  it.each([
    ['with targets', request(false, NAME), packet(V4, 'hello'), V4],
    ['to connect', request(true, NAME), packet(undefined, 'hello'), NAME],
    ['of no target', Buffer.of(0, 3, 0), packet(V6, 'hello'), V6],
  ] as const)(
    'takes a request %s in any two parts, also where it came with the header',
    async (_, asked, data, target) => {
      const whole = Buffer.concat([asked, data, data]);
      for (let cut = 0; cut <= whole.length; cut++) {
        for (const inFirst of [true, false]) {
          const { packets, client, received, seal, ends } = await serve(testCase);
          const [head, tail] = [whole.subarray(0, cut), whole.subarray(cut)];
          if (inFirst) packets.start(first(head));
          else {
            packets.start(undefined);
            client.write(seal(head));
          }
          client.write(seal(tail));
          await vi.waitFor(() => expect(received).toHaveLength(2), { interval: 1 });
          expect(received, `cut at ${cut}`).toEqual([
            { target, data: 'hello' },
            { target, data: 'hello' },
          ]);
          expect(ends).toEqual([]);
          packets.close();
        }
      }
    },
  );

  it('takes a request byte by byte', async () => {
    const { packets, client, received, seal } = await serve(testCase);
    packets.start(undefined);
    for (const byte of Buffer.concat([request(false, NAME), packet(V4, 'hello')])) client.write(seal(Buffer.of(byte)));
    await expect.poll(() => received).toEqual([{ target: V4, data: 'hello' }]);
  });

  it.each([
    ['a request that begins with 2', 'await', Buffer.of(2, 1, 0, 0), 'ERR_HEADER'],
    ['a request with an address that is none', 'await', Buffer.of(0, 9, 0, 0), 'ERR_ADDRESS'],
    ['a packet for an address that is none', 'none', Buffer.of(9, 0, 0, 0), 'ERR_ADDRESS'],
    ['a packet for a name of no bytes', 'none', Buffer.of(2, 0, 0, 0), 'ERR_ADDRESS'],
  ] as const)('ends once with %s, wherever it came', async (_, kind, bytes, code) => {
    const early = await serve(testCase, { request: kind });
    expect(() => early.packets.start(first(bytes)), 'with the header').not.toThrow();
    const late = await serve(testCase, { request: kind });
    late.packets.start(undefined);
    late.client.write(late.seal(bytes));
    late.client.write(late.seal(packet(V4, 'never read')));
    for (const { ends, received, packets } of [early, late]) {
      await expect.poll(() => ends).toEqual([code]);
      packets.close();
      packets.expire();
      expect(received).toEqual([]);
      expect(ends).toEqual([code]);
    }
  });

  it('ends once with bytes that were altered, and gives nothing of what follows', async () => {
    const { packets, client, received, seal, ends } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    client.write(seal(packet(V4, 'good')));
    await expect.poll(() => received).toHaveLength(1);
    const altered = Buffer.from(seal(packet(V4, 'altered')));
    altered[altered.length - 1]! ^= 1;
    client.write(altered);
    client.end(seal(packet(V4, 'behind')));
    await expect.poll(() => ends).toEqual(['ERR_AUTHENTICATION']);
    expect(send(packets, V4, 'an answer')).toBe(false);
    await new Promise(resolve => setImmediate(resolve));
    expect(received).toHaveLength(1);
    expect(ends).toEqual(['ERR_AUTHENTICATION']);
  });

  it('ends in order with the peer, and as cut off where a packet, a chunk or a request is not whole', async () => {
    const whole = Buffer.concat([request(false, V4), packet(V4, 'hello')]);
    const inOrder = [0, request(false, V4).length, whole.length];
    for (let cut = 0; cut <= whole.length; cut++) {
      const { packets, client, seal, ends } = await serve(testCase);
      packets.start(undefined);
      client.end(cut > 0 ? seal(whole.subarray(0, cut)) : '');
      await vi.waitFor(() => expect(ends).toHaveLength(1), { interval: 1 });
      expect(ends, `cut after ${cut} bytes`).toEqual([inOrder.includes(cut) ? undefined : 'ERR_TRUNCATED']);
    }
    const { packets, client, seal, ends } = await serve(testCase);
    packets.start(undefined);
    client.end(seal(whole).subarray(0, -1));
    await expect.poll(() => ends).toEqual(['ERR_TRUNCATED']);
  });

  it('ends once with a reset', async () => {
    const { packets, client, seal, ends, received } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    client.write(seal(packet(V4, 'hello')));
    await expect.poll(() => received).toHaveLength(1);
    client.resetAndDestroy();
    await expect.poll(() => ends).toEqual(['ECONNRESET']);
  });

  it('ends when the peer had gone before it began', async () => {
    const { packets, connection, client, ends } = await serve(testCase);
    client.destroy();
    const closed = once(connection.socket, 'close');
    connection.socket.destroy();
    await closed;
    packets.start(undefined);
    await expect.poll(() => ends).toEqual(['ERR_CLOSED']);
  });

  it('ends after its timeout without a packet, and lives on by packets of either direction', async () => {
    const { packets, client, seal, received, ends } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    for (let turn = 0; turn < 3; turn++) {
      vi.advanceTimersByTime(8_000);
      client.write(seal(packet(V4, 'up')));
      await expect.poll(() => received.length).toBe(turn + 1);
      vi.advanceTimersByTime(8_000);
      send(packets, V4, 'down');
    }
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(12_000);
    expect(ends).toEqual(['ERR_TIMEOUT']);
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual(['ERR_TIMEOUT']);
  });

  it('says nothing when it is closed from here, and ends for the peer', async () => {
    const { packets, connection, client, seal, ends, received, answers } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    const got = answers();
    send(packets, V4, 'last words');
    packets.close();
    packets.close();
    const closed = once(connection.socket, 'close');
    client.end(seal(packet(V4, 'too late')));
    expect(await got).toEqual([{ target: V4, data: 'last words' }]);
    await closed;
    vi.advanceTimersByTime(60_000);
    expect(send(packets, V4, 'too late')).toBe(false);
    expect({ ends, received }).toEqual({ ends: [], received: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('drops what a peer that does not read would pile up, and goes on when it reads', async () => {
    const { packets, connection, client, answers } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    client.pause();
    const data = 'x'.repeat(60_000);
    let sent = 0;
    let most = 0;
    // More than the kernel takes between two sockets: until it is dropped ten times in a row.
    for (let dropped = 0; dropped < 10; ) {
      if (send(packets, V4, data)) {
        sent++;
        dropped = 0;
      } else dropped++;
      most = Math.max(most, connection.socket.writableLength);
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(most).toBeGreaterThan(512 * 1024 - 1);
    expect(most).toBeLessThan(600 * 1024);
    const got = answers();
    await expect.poll(() => connection.socket.writableLength, { timeout: 10_000 }).toBe(0);
    expect(send(packets, V6, 'later')).toBe(true);
    packets.close();
    const all = await got;
    expect(all).toHaveLength(sent + 1);
    expect(all.at(-1)).toEqual({ target: V6, data: 'later' });
    expect(all.slice(0, -1).every(answer => answer.data === data)).toBe(true);
  });

  it('refuses a target that cannot be written, and goes on', async () => {
    const { packets, answers } = await serve(testCase, { request: 'none' });
    packets.start(undefined);
    const got = answers();
    expect(() => send(packets, { type: 'name', host: 'x'.repeat(256), port: 1 }, 'x')).toThrow(
      expect.objectContaining({ code: 'ERR_ADDRESS' }),
    );
    send(packets, V4, 'good');
    packets.close();
    expect(await got).toEqual([{ target: V4, data: 'good' }]);
  });
});
