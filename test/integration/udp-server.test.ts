import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ServerConfig } from '@podsocks/server/config';
import { type ClientKeys, serverKey } from '@podsocks/shared/crypto/key-derivation';
import { METHODS, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { createLogger } from '@podsocks/shared/runtime/log';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from '../support/allow-loopback.ts';
import { backendUnderTest } from '../support/backend-under-test.ts';
import { Connection } from '../support/connection.ts';
import {
  type DatagramServer,
  DatagramSession,
  DatagramStream,
  startWitnessedEcho,
} from '../support/datagram-session.ts';
import { freePort } from '../support/free-port.ts';
import { startOwnServer, WORKERS } from '../support/own-server.ts';
import { startEcho } from '../support/targets/echo.ts';

// ss-server's UDP side, with clients that are made of the cipher core and a socket.

const SIP022 = methodNamed('2022-blake3-aes-128-gcm');
const SIP004 = methodNamed('aes-256-gcm');

interface Started extends DatagramServer {
  readonly records: Record<string, unknown>[];
  /** How a user speaks to it. */
  as(user: string): DatagramServer;
  /** Which drops were logged. */
  drops(): unknown[];
  drain(): Promise<void>;
}

async function start(method: Method, settings: Partial<ServerConfig> = {}, users: readonly string[] = []) {
  const passwordKey = () => serverKey(method, randomBytes(method.keyBytes).toString('base64'));
  const key = passwordKey();
  const own = users.map(name => ({ name, key: passwordKey() }));
  const port = await freePort();
  const records: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'debug',
    format: 'json',
    name: 'test',
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
  });
  const config: ServerConfig = {
    timeout: 10_000,
    connectTimeout: 2_000,
    handshakeTimeout: 5_000,
    drainTimeout: 20_000,
    mode: 'tcp_and_udp',
    ipv6First: false,
    noDelay: true,
    reusePort: false,
    listen: [{ host: '127.0.0.1', port }],
    method,
    cryptoBackend: backendUnderTest(method),
    workers: WORKERS,
    udpTimeout: 60_000,
    policy: ALLOW_LOOPBACK,
    ...(users.length > 0 && method.generation === 'sip004' ? {} : { key }),
    users: own,
    ...settings,
  };
  const server = await startOwnServer(config, { log });
  onTestFinished(() => server.close());
  expect(server.addresses).toEqual([{ host: '127.0.0.1', port }]);
  const as = (user: string): DatagramServer => {
    const userKey = own.find(({ name }) => name === user)?.key ?? key;
    const keys: ClientKeys = { key: userKey, identityKeys: method.identityHeaders && users.length > 0 ? [key] : [] };
    return { port, method, keys };
  };
  const drops = () => records.flatMap(({ reason, msg }) => (String(msg).startsWith('datagram') ? [reason] : []));
  const started: Started = { ...as(users[0] ?? ''), records, as, drops, drain: () => server.drain() };
  return started;
}

describe.each(METHODS.map(method => ({ name: method.name, method })))('under $name, ss-server', ({ method }) => {
  it.each(['127.0.0.1', '::1'])('carries datagrams to %s and back', async host => {
    const server = await start(method);
    const echo = await startWitnessedEcho(host);
    const session = await DatagramSession.begin(server);
    for (let turn = 0; turn < 5; turn++) {
      const { from } = await session.ask(targetOf(host, echo.port), `hello ${turn}`);
      expect(from).toEqual(targetOf(host, echo.port));
    }
    expect(new Set(echo.received.map(({ port }) => port)).size, 'ports that it leaves from').toBe(1);
    expect(session.refused).toEqual([]);
    expect(server.drops()).toEqual([]);
  });

  it('carries datagrams to a name, which answers by its address', async () => {
    const server = await start(method, { bindAddress: { ipv4: '127.0.0.1' } });
    const echo = await startWitnessedEcho();
    const session = await DatagramSession.begin(server);
    const { from } = await session.ask(targetOf('localhost', echo.port), 'hello');
    expect(from).toEqual(targetOf('127.0.0.1', echo.port));
  });

  it('carries those to a name as they were sent, whatever else comes while it is looked up', async () => {
    const server = await start(method, { bindAddress: { ipv4: '127.0.0.1' } });
    const [echo, other] = [await startWitnessedEcho(), await startWitnessedEcho()];
    const session = await DatagramSession.begin(server);
    session.send(targetOf('localhost', echo.port), 'to a name, first');
    session.send(targetOf('localhost', echo.port), 'to a name, second');
    for (let count = 0; count < 20; count++) session.send(targetOf('127.0.0.1', other.port), `to an address: ${count}`);
    await expect
      .poll(() => echo.received.map(({ payload }) => payload))
      .toEqual(['to a name, first', 'to a name, second']);
    await expect.poll(() => other.received.length).toBe(20);
  });

  it('carries them in any length', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    const session = await DatagramSession.begin(server);
    for (const length of [0, 1, 1400, 9000, 60_000]) {
      const payload = randomBytes(length);
      const answer = await session.ask(targetOf('127.0.0.1', echo.port), payload);
      expect(answer.payload.equals(payload)).toBe(true);
    }
  });

  it('keeps two clients apart', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const clients = [await DatagramSession.begin(server), await DatagramSession.begin(server)];
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all(clients.map((client, index) => client.ask(target, `of client ${index}, ${turn}`)));
    }
    for (const [index, { answers, refused }] of clients.entries()) {
      expect(answers.every(({ payload }) => String(payload).startsWith(`of client ${index}`))).toBe(true);
      expect(refused).toEqual([]);
    }
    expect(new Set(echo.received.map(({ port }) => port)).size).toBe(2);
  });
});

describe.each([SIP022, methodNamed('2022-blake3-chacha20-poly1305')])('a session of $name', method => {
  it('is followed from address to address, with the same port to the target', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const session = await DatagramSession.begin(server);
    await session.ask(target, 'from the first address');
    await session.move();
    await session.ask(target, 'from another port');
    await session.move('127.0.0.2');
    await session.ask(target, 'from another address');
    const { port } = echo.received[0]!;
    echo.socket.send('unasked', port, '127.0.0.1');
    await expect.poll(() => session.answers.map(({ payload }) => String(payload))).toContain('unasked');
    expect(new Set(echo.received.map(received => received.port)).size).toBe(1);
  });
});

describe.each([methodNamed('2022-blake3-aes-256-gcm'), SIP022, SIP004])('users of $name', method => {
  it('are kept apart, even with the same session id, or at the same address', async () => {
    const server = await start(method, {}, ['alice', 'bob']);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const random = (length: number) =>
      length === 8 ? new Uint8Array(length).fill(7) : new Uint8Array(randomBytes(length));
    const alice = await DatagramSession.begin(server.as('alice'), { random });
    const bob = await DatagramSession.begin(server.as('bob'), { random });
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all([alice.ask(target, `of alice ${turn}`), bob.ask(target, `of bob ${turn}`)]);
    }
    // Bob's packet from alice's address is his still, and goes where his go; the answer is sealed for him.
    await alice.sendRaw(bob.seal(target, 'of bob, from where alice is'));
    await expect.poll(() => alice.refused.length).toBe(1);
    await alice.ask(target, 'of alice, at last');
    expect(alice.answers.every(({ payload }) => String(payload).startsWith('of alice'))).toBe(true);
    expect(bob.answers.every(({ payload }) => String(payload).startsWith('of bob'))).toBe(true);
    const portsOf = (name: string) =>
      new Set(echo.received.filter(({ payload }) => payload.startsWith(`of ${name}`)).map(({ port }) => port));
    expect(portsOf('alice').size).toBe(1);
    for (const port of portsOf('alice')) expect(portsOf('bob')).not.toContain(port);
  });
});

describe.each([SIP022, SIP004])('an association of $name', method => {
  it('lives on when an answer was too long for any datagram, which is dropped', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const session = await DatagramSession.begin(server);
    await session.ask(target, 'hello');
    const { port } = echo.received[0]!;
    echo.socket.send(Buffer.alloc(65_507), port, '127.0.0.1');
    await expect.poll(server.drops).toEqual(['too-long']);
    await session.ask(target, 'still there?');
    expect(session.answers.map(({ payload }) => String(payload))).toEqual(['hello', 'still there?']);
    expect(new Set(echo.received.map(received => received.port)).size).toBe(1);
  });

  it('ends when it is idle, and its client begins another', async () => {
    const server = await start(method, { udpTimeout: 400 });
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const session = await DatagramSession.begin(server);
    await session.ask(target, 'hello');
    const ended = () => server.records.filter(({ msg }) => msg === 'UDP association closed');
    await expect.poll(() => ended().length, { timeout: 10_000 }).toBe(1);
    expect(ended()[0]).toMatchObject({
      why: 'idle',
      packetsUp: 1,
      bytesUp: 5,
      packetsDown: 1,
      bytesDown: 5,
      drops: {},
    });
    await session.ask(target, 'hello again');
    expect(session.refused).toEqual([]);
  });

  it('gets its pending answer while the server drains; new ones are not begun', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    echo.echo = false;
    const target = targetOf('127.0.0.1', echo.port);
    const session = await DatagramSession.begin(server);
    session.send(target, 'a question');
    await expect.poll(() => echo.received.length).toBe(1);
    const draining = server.drain();

    // Where the server has workers, it takes them a moment to know.
    const newcomer = async () => (await DatagramSession.begin(server)).send(target, 'of a newcomer');
    await expect.poll(() => newcomer().then(server.drops), { timeout: 10_000 }).toContain('full');
    const before = echo.received.length;
    await newcomer();
    echo.socket.send('the answer', echo.received[0]!.port, '127.0.0.1');
    await expect.poll(() => session.answers.map(({ payload }) => String(payload))).toEqual(['the answer']);
    echo.echo = true;
    await session.ask(target, 'thanks');
    expect(echo.received.slice(before).map(({ payload }) => payload)).not.toContain('of a newcomer');
    await draining;
    const next = createSocket('udp4').bind(server.port, '127.0.0.1');
    await once(next, 'listening'); // the port is free
    next.close();
  });
});

describe.each([SIP022, SIP004])('UDP over TCP, $name,', method => {
  it.each([1, 2] as const)('goes to many targets in version %i', async version => {
    const server = await start(method);
    const [v4, v6] = [await startWitnessedEcho(), await startWitnessedEcho('::1')];
    const stream = new DatagramStream(server, { version });
    for (const target of [targetOf('127.0.0.1', v4.port), targetOf('::1', v6.port)]) {
      for (const payload of ['', 'hello', 'x'.repeat(60_000)]) {
        await stream.send(target, payload);
        const { from, payload: answer } = (await stream.next())!;
        expect(from).toEqual(target);
        expect(String(answer) === payload).toBe(true);
      }
    }
    expect(new Set(v4.received.map(({ port }) => port)).size).toBe(1);
    stream.connection.end();
    expect(await stream.next()).toBeUndefined();
    await expect
      .poll(() => server.records.find(({ msg }) => msg === 'UDP over TCP closed'))
      .toMatchObject({
        ...{ packetsUp: 6, bytesUp: 120_010, packetsDown: 6, bytesDown: 120_010, drops: {} },
      });
  });

  it('goes to one target, by address or name, in the connect form', async () => {
    const server = await start(method, { bindAddress: { ipv4: '127.0.0.1' } });
    const echo = await startWitnessedEcho();
    for (const host of ['127.0.0.1', 'localhost']) {
      const target = targetOf(host, echo.port);
      const stream = new DatagramStream(server, { version: 2, connectTo: target });
      for (const payload of ['one', '', 'two']) {
        await stream.send(target, payload);
        expect(await stream.next()).toEqual({ from: target, payload: Buffer.from(payload) });
      }
    }
  });

  it('drops what cannot go, and goes on', async () => {
    const server = await start(method);
    const echo = await startWitnessedEcho();
    const stream = new DatagramStream(server, { version: 2 });
    await stream.send(targetOf('127.0.0.1', 0), 'to no port');
    await stream.send(targetOf('a..b', echo.port), 'to no host');
    await stream.send(targetOf('127.0.0.1', echo.port), Buffer.alloc(65_535));
    await stream.send(targetOf('127.0.0.1', echo.port), 'hello');
    expect(String((await stream.next())?.payload)).toBe('hello');
    await expect.poll(() => server.drops().sort()).toEqual(['name', 'too-long', 'unreachable']);
  });
});

it('TCP and UDP go at once, by the same port', async () => {
  const server = await start(SIP022);
  const [echo, tcpEcho] = [await startWitnessedEcho(), await startEcho()];
  onTestFinished(() => tcpEcho.close());
  const session = await DatagramSession.begin(server);
  const bytes = randomBytes(4 * 1024 * 1024);
  const [taken] = await Promise.all([
    throughTcp(server, tcpEcho.port, bytes),
    (async () => {
      for (let turn = 0; turn < 100; turn++) await session.ask(targetOf('127.0.0.1', echo.port), `datagram ${turn}`);
    })(),
  ]);
  expect(taken.equals(bytes)).toBe(true);
});

// One process serves UDP, so there are no workers where there is nothing else.
it('with udp_only there is no TCP port', async () => {
  const server = await start(SIP022, { mode: 'udp_only', workers: 1 });
  const echo = await startWitnessedEcho();
  const session = await DatagramSession.begin(server);
  await session.ask(targetOf('127.0.0.1', echo.port), 'hello');
  await expect(once(connect(server.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

it('with tcp_only there is no UDP port', async () => {
  const server = await start(SIP022, { mode: 'tcp_only' });
  const own = createSocket('udp4').bind(server.port, '127.0.0.1');
  await once(own, 'listening');
  own.close();
});

/** Sends to a TCP echo, and returns what comes back. */
async function throughTcp({ port, method, keys }: DatagramServer, echoPort: number, bytes: Buffer): Promise<Buffer> {
  const streams = clientStreams(streamServices(method, 'auto'));
  const sealer = streams.sealRequest(keys, targetOf('127.0.0.1', echoPort));
  const opener = streams.openResponse(keys, sealer.salt);
  const socket = connect({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  const connection = new Connection(socket);
  const sealed = Buffer.alloc(sealer.sealedLength(bytes.length));
  const sending = connection.send(sealed.subarray(0, sealer.seal(sealed, 0, bytes, 0, bytes.length)));
  const parts: Buffer[] = [];
  for (let taken = 0; taken < bytes.length; ) {
    const part = await connection.read();
    if (part === undefined) break;
    const plain = Buffer.alloc(opener.openedLength(part.length));
    parts.push(plain.subarray(0, opener.open(plain, 0, part, 0, part.length)));
    taken += parts.at(-1)!.length;
  }
  await sending;
  return Buffer.concat(parts);
}
