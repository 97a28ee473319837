import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { ServerConfig } from '@podsocks/server/config';
import { clientDatagrams } from '@podsocks/shared/crypto/datagrams';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { datagramServices } from '@podsocks/shared/net/stream-services';
import { targetOf } from '@podsocks/shared/wire/address';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type DatagramServer,
  DatagramSession,
  DatagramStream,
  startWitnessedEcho,
  type WitnessedEcho,
} from '../support/datagram-session.ts';
import { freePort } from '../support/free-port.ts';
import { WORKERS } from '../support/own-server.ts';
import { serves } from './support/attacks.ts';
import { type Attackable, type Scheme, SIP004, SIP022, SIP023, startVictim } from './support/ends.ts';
import { flipped } from './support/requests.ts';
import { startServerProcess } from './support/server-process.ts';
import { startTestEcho } from './support/witness.ts';

/*
 * Anybody can send datagrams, from any address, and whoever is on the way can send those of others again. None of it may
 * reach a target, be answered, or move where the answers of others go.
 */

const CHACHA: Scheme = {
  name: 'SIP022 with ChaCha20',
  method: methodNamed('2022-blake3-chacha20-poly1305'),
  hasUsers: false,
};
const SCHEMES = [SIP004, SIP022, SIP023, CHACHA];
const WITH_SESSIONS = [SIP022, SIP023, CHACHA];

const MIB = 1024 * 1024;

const udp = async (settings: Partial<ServerConfig> = {}): Promise<Partial<ServerConfig>> => ({
  mode: 'tcp_and_udp',
  listen: [{ host: '127.0.0.1', port: await freePort() }],
  ...settings,
});

const serverOf = ({ port, scheme, keys }: Attackable): DatagramServer => ({
  port,
  method: scheme.method,
  keys: keys.client,
});

/** ss-server, an echo, and an honest client that has an association already. */
async function underAttack(scheme: Scheme) {
  const server = serverOf(await startVictim(scheme, await udp()));
  const echo = await startWitnessedEcho();
  const target = targetOf('127.0.0.1', echo.port);
  const client = await DatagramSession.begin(server);
  await client.ask(target, 'hello');
  return { server, echo, target, client };
}

/** How often the target got this. */
const timesGot = ({ received }: WitnessedEcho, text: string) =>
  received.filter(({ payload }) => payload === text).length;

describe.each(SCHEMES)('a datagram of $name', scheme => {
  it('that is sent again reaches nobody, wherever it comes from, and answers go to the true client', async () => {
    const { server, echo, target, client } = await underAttack(scheme);
    const recorded = client.seal(target, 'once');
    await client.sendRaw(recorded);
    await expect.poll(() => timesGot(echo, 'once')).toBe(1);
    for (let count = 0; count < 3; count++) await client.sendRaw(recorded);
    await client.ask(target, 'after the replays');

    const elsewhere = await DatagramSession.begin(server);
    await elsewhere.move('127.0.0.3');
    for (let count = 0; count < 3; count++) await elsewhere.sendRaw(recorded);
    await elsewhere.ask(target, 'of another'); // so those before it have been seen
    expect(timesGot(echo, 'once')).toBe(1);

    const { port } = echo.received[0]!;
    echo.socket.send('for the true client', port, '127.0.0.1');
    await expect.poll(() => client.answers.map(({ payload }) => String(payload))).toContain('for the true client');
    await elsewhere.ask(target, 'of another, again');
    expect(new Set(elsewhere.answers.map(({ payload }) => String(payload)))).toEqual(
      new Set(['of another', 'of another, again']),
    );
    expect(elsewhere.refused).toEqual([]);
  });

  it('is taken in any order, and once', async () => {
    const { echo, target, client } = await underAttack(scheme);
    const texts = Array.from({ length: 200 }, (_, index) => `datagram ${index}`);
    const packets = texts.map(text => client.seal(target, text));
    const order = packets.map((_, index) => (index * 77) % packets.length); // 77 and 200 have no factor in common
    for (const index of [...order, ...order.toReversed()]) await client.sendRaw(packets[index]!);
    await expect.poll(() => texts.filter(text => timesGot(echo, text) === 0)).toEqual([]);
    await client.ask(target, 'the last');
    expect(texts.filter(text => timesGot(echo, text) !== 1)).toEqual([]);
  });

  it('that is cut short anywhere reaches nobody, and spoils nothing', async () => {
    const { echo, target, client } = await underAttack(scheme);
    const whole = client.seal(target, 'whole');
    for (let length = 0; length < whole.length; length++) await client.sendRaw(whole.subarray(0, length));
    await client.ask(target, 'after them');
    expect(echo.received.map(({ payload }) => payload)).not.toContain('whole');
    expect(new Set(echo.received.map(({ payload }) => payload))).toEqual(new Set(['hello', 'after them']));
    await client.sendRaw(whole);
    await expect.poll(() => timesGot(echo, 'whole')).toBe(1);
    expect(client.refused).toEqual([]);
  });

  it('that is altered anywhere reaches nobody, and spoils nothing', async () => {
    const { echo, target, client } = await underAttack(scheme);
    const whole = client.seal(target, 'whole');
    for (let at = 0; at < whole.length; at++) await client.sendRaw(flipped(whole, at));
    for (const longer of [1, 16, 1000]) await client.sendRaw(Buffer.concat([whole, randomBytes(longer)]));
    await client.ask(target, 'after them');
    expect(new Set(echo.received.map(({ payload }) => payload))).toEqual(new Set(['hello', 'after them']));
    await client.sendRaw(whole);
    await expect.poll(() => timesGot(echo, 'whole')).toBe(1);
    expect(client.refused).toEqual([]);
  });

  it('that the server has sent reaches nobody when it is sent back, from wherever', async () => {
    const { server, echo, target, client } = await underAttack(scheme);
    // Its beginning reads as a target, if it were taken for a request.
    await client.ask(
      target,
      Buffer.concat([Buffer.of(1, 127, 0, 0, 1, echo.port >> 8, echo.port & 255), randomBytes(9)]),
    );
    const before = echo.received.length;
    const elsewhere = await DatagramSession.begin(server);
    for (const answer of client.sealedAnswers) {
      await client.sendRaw(answer);
      await elsewhere.sendRaw(answer);
    }
    await client.ask(target, 'after them');
    await elsewhere.ask(target, 'after them');
    expect(new Set(echo.received.slice(before).map(({ payload }) => payload))).toEqual(new Set(['after them']));
    expect([...client.refused, ...elsewhere.refused]).toEqual([]);
  });

  it('that is garbage of any length is not answered', async () => {
    const { server, echo, target, client } = await underAttack(scheme);
    const stranger = await DatagramSession.begin(server);
    const lengths = [...Array.from({ length: 1600 }, (_, length) => length), 9000, 20_000, 65_507];
    for (const [index, length] of lengths.entries()) {
      await stranger.sendRaw(randomBytes(length));
      if (index % 100 === 0) await client.ask(target, 'meanwhile'); // or they would be lost in its buffer
    }
    await stranger.ask(target, 'at last');
    expect(stranger.sealedAnswers.length, 'answers').toBe(stranger.answers.length);
    expect(new Set(echo.received.map(({ payload }) => payload))).toEqual(new Set(['hello', 'meanwhile', 'at last']));
  });

  it('under a wrong key reaches nobody', async () => {
    const { server, echo, target, client } = await underAttack(scheme);
    const wrong = new Uint8Array(randomBytes(scheme.method.keyBytes));
    const { key, identityKeys } = server.keys;
    const attempts = [{ key: wrong, identityKeys }, ...identityKeys.map(() => ({ key, identityKeys: [wrong] }))];
    if (identityKeys.length > 0) attempts.push({ key, identityKeys: [] }, { key: identityKeys[0]!, identityKeys: [] });
    for (const keys of attempts) {
      const stranger = await DatagramSession.begin({ ...server, keys });
      await stranger.sendRaw(stranger.seal(target, 'let me in'));
      await client.sendRaw(stranger.seal(target, 'let me in'));
    }
    await client.ask(target, 'after them');
    expect(timesGot(echo, 'let me in')).toBe(0);
    expect(client.refused).toEqual([]);
  });
});

describe.each(WITH_SESSIONS)('a session of $name', scheme => {
  it('refuses what has fallen behind its window', async () => {
    const { echo, target, client } = await underAttack(scheme);
    const old = client.seal(target, 'old');
    for (let count = 0; count < 3 * 2048; count++) client.seal(target, 'never sent');
    await client.ask(target, 'far ahead');
    await client.sendRaw(old);
    await client.ask(target, 'after it');
    expect(timesGot(echo, 'old')).toBe(0);
  });

  describe('whose clock is wrong', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
    afterEach(() => void vi.useRealTimers());
    // The clocks of workers go on while this one stands still.
    const [REFUSED, TAKEN] = WORKERS > 1 ? [45, 20] : [31, 29];

    it.each([-1, 1])('is refused or taken by whether it is 30 s, %i', async sign => {
      const { server, echo, target, client } = await underAttack(scheme);
      const tooFar = await DatagramSession.begin(server, { clockOffset: sign * REFUSED });
      for (let count = 0; count < 5; count++) await tooFar.sendRaw(tooFar.seal(target, 'too far'));
      for (let count = 0; count < 5; count++) await client.sendRaw(tooFar.seal(target, 'too far'));
      await client.ask(target, 'after them');
      const near = await DatagramSession.begin(server, { clockOffset: sign * TAKEN });
      near.send(target, 'near');
      await expect.poll(() => timesGot(echo, 'near')).toBe(1);
      expect(timesGot(echo, 'too far')).toBe(0);
      expect(tooFar.sealedAnswers).toEqual([]);
    });
  });
});

describe('a user of SIP023', () => {
  it('who names the session of another has no part in it', async () => {
    const victim = await startVictim(SIP023, await udp());
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const random = (length: number) => new Uint8Array(length === 8 ? Buffer.alloc(8, 5) : randomBytes(length));
    const { identityKeys } = victim.keys.client;
    const alice = { ...serverOf(victim), keys: { key: victim.keys.server.users[0]!.key, identityKeys } };
    const honest = await DatagramSession.begin(alice, { random });
    await honest.ask(target, 'of alice');
    const thief = await DatagramSession.begin(serverOf(victim), { random });
    for (let count = 0; count < 5; count++) thief.seal(target, 'never sent'); // so that its packets would be the newest
    await thief.ask(target, 'of bob');
    echo.socket.send('for alice', echo.received[0]!.port, '127.0.0.1');
    await expect.poll(() => honest.answers.map(({ payload }) => String(payload))).toContain('for alice');
    await thief.ask(target, 'of bob, again');
    expect(thief.refused).toEqual([]);
    expect(thief.answers.every(({ payload }) => String(payload).startsWith('of bob'))).toBe(true);
    await honest.ask(target, 'of alice, again');
  });
});

/** 32,768 closed sessions of 0.8 kB, and some air. */
const REMEMBERED_BYTES = 36 * MIB;

describe('100,000 sessions of one key', () => {
  const CAP = 64;
  const FLOOD = 100_000;

  it('cost memory for those that must be remembered, and do not push out one that is in use', async () => {
    const victim = await startServerProcess(SIP022, await udp({ udpMaxAssociations: CAP }));
    const server = serverOf(victim);
    const [echo, sink] = [await startWitnessedEcho(), await startWitnessedEcho()];
    sink.echo = false;
    const target = targetOf('127.0.0.1', echo.port);
    const client = await DatagramSession.begin(server);
    const recorded = client.seal(target, 'once');
    await client.sendRaw(recorded);
    for (let count = 0; count < 20; count++) await client.ask(target, 'warm');
    const before = await victim.usage();

    const services = datagramServices(server.method, 'auto');
    const datagrams = clientDatagrams(services);
    const sinkTarget = targetOf('127.0.0.1', sink.port);
    const out = Buffer.alloc(1000);
    const floodPacket = (payload: Buffer) => {
      const session = datagrams.session(server.keys);
      const packet = Buffer.from(out.subarray(0, session.seal(out, 0, sinkTarget, payload, 0, payload.length)));
      session.close();
      return packet;
    };
    const flooder = await DatagramSession.begin(server);
    const first = floodPacket(Buffer.from('first'));
    await flooder.sendRaw(first);
    for (let count = 1; count < FLOOD; count++) {
      const sent = flooder.sendRaw(floodPacket(Buffer.from(`${count}`)));
      if (count % 500 === 0) {
        await sent;
        await client.ask(target, 'in use'); // when it is answered, the server has seen those before
      }
      if (count % 20_000 === 0) {
        const now = await victim.usage();
        expect(now.descriptors - before.descriptors, 'sockets').toBeLessThanOrEqual(CAP);
        const held = now.heapUsed + now.arrayBuffers - before.heapUsed - before.arrayBuffers;
        expect(held, 'growth in bytes').toBeLessThan(REMEMBERED_BYTES);
        expect(now.rss - before.rss, 'growth in bytes, with what the allocator keeps').toBeLessThan(
          6 * REMEMBERED_BYTES,
        );
      }
    }
    const { full } = await victim.drops();
    expect(full, 'those that could not be remembered any more').toBeGreaterThan(FLOOD / 3);
    expect(sink.received.length).toBeGreaterThan(FLOOD / 5);

    expect(new Set(echo.received.map(({ port }) => port)).size, 'ports of the client').toBe(1);
    const seen = sink.received.length;
    await client.sendRaw(recorded);
    await flooder.sendRaw(first);
    await client.ask(target, 'after the replays');
    expect(timesGot(echo, 'once')).toBe(1);
    expect(sink.received.length).toBe(seen);
    expect(timesGot(sink, 'first')).toBe(1);
  });
});

describe.each([SIP004, SIP022])('a flood of $name from one association', scheme => {
  it('does not keep another client, nor a TCP connection, from getting through', async () => {
    const victim = await startServerProcess(scheme, await udp());
    const server = serverOf(victim);
    const [echo, sink, tcpEcho] = [await startWitnessedEcho(), await startWitnessedEcho(), await startTestEcho()];
    sink.echo = false;
    const flooder = await DatagramSession.begin(server);
    let flooding = true;
    const flood = (async () => {
      const payload = randomBytes(1200);
      while (flooding) {
        for (let count = 0; count < 20; count++)
          void flooder.sendRaw(flooder.seal(targetOf('127.0.0.1', sink.port), payload));
        await turn();
      }
    })();
    try {
      await expect.poll(() => sink.received.length).toBeGreaterThan(100);
      const client = await DatagramSession.begin(server);
      for (let count = 0; count < 10; count++) await client.ask(targetOf('127.0.0.1', echo.port), `datagram ${count}`);
      for (let count = 0; count < 5; count++) expect(await serves(victim, tcpEcho.port)).toBe(true);
    } finally {
      flooding = false;
      await flood;
    }
  });
});

describe('a flood of names that there are not', () => {
  it('hinders no other user, by address or by name', async () => {
    const victim = await startServerProcess(SIP023, await udp({ bindAddress: { ipv4: '127.0.0.1' } }));
    const server = serverOf(victim);
    const other = { ...server, keys: { ...server.keys, key: victim.keys.server.users[0]!.key } };
    const echo = await startWitnessedEcho();
    const tcpEcho = await startTestEcho();
    const flooder = await DatagramSession.begin(server);
    const stream = new DatagramStream(server, { version: 2 });
    let flooding = true;
    const flood = (async () => {
      for (let count = 0; flooding; count++) {
        await flooder.sendRaw(flooder.seal(targetOf(`${count}.nothing.invalid`, 53), 'x'));
        await stream.send(targetOf(`${count}.streamed.invalid`, 53), 'x');
        await turn();
      }
    })();
    try {
      const client = await DatagramSession.begin(other);
      await client.ask(targetOf('127.0.0.1', echo.port), 'by address');
      await client.ask(targetOf('localhost', echo.port), 'by name');
      await client.ask(targetOf('127.0.0.1', echo.port), 'by address, again');
      expect(await serves(victim, tcpEcho.port)).toBe(true);
      await expect.poll(async () => (await victim.drops()).name ?? 0).toBeGreaterThan(0);
    } finally {
      flooding = false;
      await flood;
    }
  });
});

describe('when descriptors run out', () => {
  it('new associations are dropped and counted, and old ones go on', async () => {
    const NEW = 300;
    const victim = await startServerProcess(SIP022, await udp({ udpMaxAssociations: 10_000, maxConnections: 10 }), {
      descriptors: 128,
    });
    const server = serverOf(victim);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const old = await DatagramSession.begin(server);
    await old.ask(target, 'old');
    for (let count = 0; count < NEW; count++) (await DatagramSession.begin(server)).send(target, `new ${count}`);
    await old.ask(target, 'old still');
    const dropped = async () => (await victim.drops()).descriptors ?? 0;
    await expect.poll(dropped).toBeGreaterThan(NEW - 128);
    const arrived = () => new Set(echo.received.flatMap(({ payload }) => (payload.startsWith('new') ? [payload] : [])));
    expect(arrived().size + (await dropped())).toBe(NEW);
    expect(arrived().size).toBeGreaterThan(50);
    for (let count = 0; count < 10; count++) await old.ask(target, 'old still');
    const ports = echo.received.flatMap(({ payload, port }) => (payload.startsWith('old') ? [port] : []));
    expect(new Set(ports).size).toBe(1);
  });
});

describe.each([SIP004, SIP022])('UDP over TCP under attack, $name,', scheme => {
  async function streamed() {
    const victim = await startServerProcess(scheme, await udp());
    const server = serverOf(victim);
    const echo = await startWitnessedEcho();
    const target = targetOf('127.0.0.1', echo.port);
    const exchange = async (text: string) => {
      const stream = new DatagramStream(server, { version: 2 });
      await stream.send(target, text);
      expect(String((await stream.next())?.payload)).toBe(text);
    };
    await exchange('before');
    return { victim, server, echo, target, exchange };
  }

  const GARBAGE = [
    Buffer.of(2),
    Buffer.of(0xff, 1, 2, 3),
    Buffer.of(0, 0, 0, 0),
    Buffer.of(1, 3, 0, 0, 0, 0),
    Buffer.of(0, 3, 0, 9),
    Buffer.alloc(10_000, 0xff),
    Buffer.concat([Buffer.of(0, 1, 0, 0, 0, 0, 0, 0), Buffer.of(3)]),
    Buffer.concat([Buffer.of(0, 1, 0, 0, 0, 0, 0, 0), Buffer.of(2, 0, 1)]),
    Buffer.concat([Buffer.of(0, 1, 0, 0, 0, 0, 0, 0), Buffer.of(2, 2, 0xc3, 0x28, 0, 53, 0, 0)]),
  ];

  it('ends a stream that begins with garbage, and no other', async () => {
    const { victim, server, echo, exchange } = await streamed();
    for (const bytes of GARBAGE) {
      const stream = new DatagramStream(server, { version: 2 });
      await stream.connection.send(stream.seal(bytes));
      expect(await stream.next().catch(() => undefined)).toBeUndefined();
    }
    await exchange('after it');
    await victim.usage(); // it is alive
    expect(echo.received.map(({ payload }) => payload)).toEqual(['before', 'after it']);
  });

  it.each([1, 2] as const)('ends a stream of version %i that goes on with garbage, and no other', async version => {
    const { server, echo, target, exchange } = await streamed();
    const garbage = [
      Buffer.of(9),
      Buffer.of(2, 0),
      Buffer.of(2, 2, 0xc3, 0x28, 0, 53, 0, 0),
      Buffer.alloc(10_000, 0xff),
    ];
    for (const bytes of garbage) {
      const stream = new DatagramStream(server, { version });
      await stream.send(target, 'good');
      expect(String((await stream.next())?.payload)).toBe('good');
      await stream.connection.send(stream.seal(bytes));
      await stream.send(target, 'behind it').catch(() => {}); // it may have been ended by then
      expect(await stream.next().catch(() => undefined)).toBeUndefined();
    }
    await exchange('after it');
    expect(timesGot(echo, 'behind it')).toBe(0);
  });

  it('ends a stream of random bytes in the end, or holds little of it', async () => {
    const { victim, server, exchange } = await streamed();
    const before = await victim.usage();
    for (let count = 0; count < 100; count++) {
      const stream = new DatagramStream(server, { version: count % 2 === 0 ? 2 : 1 });
      for (let part = 0; part < 5; part++) {
        await stream.connection.send(stream.seal(randomBytes(5_000))).catch(() => {});
        await turn();
      }
      stream.connection.destroy();
    }
    await exchange('after them');
    const held = async () => (await victim.usage()).arrayBuffers - before.arrayBuffers;
    await expect.poll(held, { message: 'growth in bytes' }).toBeLessThan(8 * MIB);
  });

  it('gives nothing of a packet that was cut short, and ends the stream', async () => {
    const { server, echo, target, exchange } = await streamed();
    const build = () => {
      const stream = new DatagramStream(server, { version: 2 });
      return { stream, bytes: stream.seal(stream.packet(target, 'cut')) };
    };
    const { length } = build().bytes;
    for (let cut = 0; cut < length; cut++) {
      const { stream, bytes } = build();
      await stream.connection.send(bytes.subarray(0, cut));
      stream.connection.end();
      expect(await stream.next().catch(() => undefined), `after ${cut} bytes`).toBeUndefined();
    }
    for (let cut = 0; cut < 20; cut++) {
      const stream = new DatagramStream(server, { version: 2 });
      const plain = stream.packet(target, 'cut');
      await stream.connection.send(stream.seal(plain.subarray(0, plain.length - 1 - cut)));
      stream.connection.end();
      expect(await stream.next().catch(() => undefined)).toBeUndefined();
    }
    await exchange('after them');
    expect(timesGot(echo, 'cut')).toBe(0);
  });

  it('gives nothing of what was altered, in any byte', async () => {
    const { server, echo, target, exchange } = await streamed();
    const build = () => {
      const stream = new DatagramStream(server, { version: 2 });
      return {
        stream,
        header: stream.seal(stream.packet(target, 'good')),
        next: stream.seal(stream.packet(target, 'bad')),
      };
    };
    const { length } = build().next;
    for (let at = 0; at < length; at++) {
      const { stream, header, next } = build();
      await stream.connection.send(header);
      expect(String((await stream.next())?.payload)).toBe('good');
      await stream.connection.send(flipped(next, at));
      stream.connection.end();
      expect(await stream.next().catch(() => undefined), `byte ${at}`).toBeUndefined();
    }
    await exchange('after them');
    expect(timesGot(echo, 'bad')).toBe(0);
  });

  it('drops packets that are longer than any datagram, a thousand of them, and goes on', async () => {
    const { victim, server, target } = await streamed();
    const stream = new DatagramStream(server, { version: 2 });
    const longest = Buffer.alloc(65_535);
    for (let count = 0; count < 1000; count++) await stream.send(target, longest);
    await stream.send(target, 'short');
    expect(String((await stream.next())?.payload)).toBe('short');
    await expect.poll(async () => (await victim.drops())['too-long']).toBe(1000);
  });

  it('drops what a client does not read, which costs no memory, and goes on when it does', async () => {
    const { victim, server, echo, target, exchange } = await streamed();
    const before = await victim.usage();
    const stream = new DatagramStream(server, { version: 2 });
    await stream.send(target, 'who I am');
    await expect.poll(() => timesGot(echo, 'who I am')).toBe(1);
    const { port } = echo.received.at(-1)!;
    const answer = Buffer.alloc(60_000);
    const congested = async () => (await victim.drops()).congested ?? 0;
    for (let count = 0; (await congested()) < 100; count++) {
      expect(count, 'rounds of 6 MB').toBeLessThan(100);
      for (let part = 0; part < 100; part++) {
        await new Promise(resolve => echo.socket.send(answer, port, '127.0.0.1', resolve));
      }
    }
    const held = async () => (await victim.usage()).arrayBuffers - before.arrayBuffers;
    await expect.poll(held, { message: 'growth in bytes' }).toBeLessThan(8 * MIB);
    await exchange('meanwhile');
    expect(String((await stream.next())?.payload)).toBe('who I am');
    let isBack = false;
    const reading = (async () => {
      while (!isBack) isBack = (await stream.next())!.payload.equals(Buffer.from('back again'));
    })();
    // The first of them may be dropped yet.
    await expect.poll(() => stream.send(target, 'back again').then(() => isBack), { timeout: 20_000 }).toBe(true);
    await reading;
  });
});
