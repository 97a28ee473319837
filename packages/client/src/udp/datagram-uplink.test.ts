import { createSocket, Socket } from 'node:dgram';
import { once } from 'node:events';
import type { LookupFunction } from 'node:net';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { datagramUplinks } from './datagram-uplink.ts';
import { bytes, datagramServicesFor, openUplink, serverAt, startDatagramServer } from './uplink-fixtures.ts';

const NAME = targetOf('kube-dns.kube-system.svc', 53);
const ADDRESS = targetOf('10.0.0.7', 5353);

/** A look-up in the test's own hands. */
function lookupInHand() {
  const asked: { host: string; answer: (found: string | Error) => void }[] = [];
  const lookup = ((host, _options, callback) => {
    const answer = (found: string | Error) => {
      if (found instanceof Error) callback(found, [] as never);
      else callback(null, [{ address: found, family: found.includes(':') ? 6 : 4 }] as never);
    };
    asked.push({ host, answer });
  }) as LookupFunction;
  return { asked, lookup };
}

async function connected(host = '127.0.0.1') {
  const server = await startDatagramServer(host);
  const ours = openUplink(datagramUplinks(datagramServicesFor(serverAt(host, server.port))));
  return { server, ...ours };
}

/** A port where no UDP socket is. */
async function closedPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>(resolve => socket.close(resolve));
  return port;
}

describe.each(['127.0.0.1', '::1'])('an uplink to a server at %s', host => {
  it('carries datagrams there and back, each with its address', async () => {
    const { server, send, received } = await connected(host);
    for (const target of [NAME, ADDRESS, targetOf('2001:db8::1', 1)]) {
      for (const payload of ['a question', '']) {
        send(target, payload);
        expect(await server.received.next()).toMatchObject({ target, payload });
        server.send(server.seal(target, `answer to ${payload}`));
        expect(await received.next()).toEqual({ target, payload: `answer to ${payload}` });
      }
    }
    expect(server.sessions()).toBe(1);
  });
});

describe('an uplink', () => {
  it('has a session and a port of its own', async () => {
    const server = await startDatagramServer();
    const open = datagramUplinks(datagramServicesFor(serverAt('127.0.0.1', server.port)));
    const [one, two] = [openUplink(open), openUplink(open)];
    one.send(NAME, 'one');
    const first = await server.received.next();
    two.send(NAME, 'two');
    const second = await server.received.next();
    expect([first.payload, second.payload]).toEqual(['one', 'two']);
    expect(first.from.port).not.toBe(second.from.port);
    expect(server.sessions()).toBe(2);
    server.send(server.seal(NAME, 'for two'));
    expect(await two.received.next()).toEqual({ target: NAME, payload: 'for two' });
    expect(one.received.drain()).toEqual([]);
  });

  it('shares the look-up of the server with others that are opened at the same time', async () => {
    const server = await startDatagramServer();
    const { asked, lookup } = lookupInHand();
    const open = datagramUplinks(datagramServicesFor(serverAt('server.example', server.port), { lookup }));
    const [one, two, closed] = [openUplink(open), openUplink(open), openUplink(open)];
    closed.uplink.close();
    for (const { send } of [one, two]) send(NAME, 'lost');
    expect(asked).toHaveLength(1);
    asked[0]!.answer(new Error('ENOTFOUND'));
    for (const { dropped } of [one, two]) expect(dropped.drain()).toEqual(['unreachable']);
    for (const { send } of [one, two]) send(NAME, 'sent');
    expect(asked).toHaveLength(2);
    asked[1]!.answer('127.0.0.1');
    expect(await server.received.take(2)).toMatchObject([{ payload: 'sent' }, { payload: 'sent' }]);
    expect(server.sessions()).toBe(2);
  });

  it('sends what came while the name was looked up, in its order', async () => {
    const server = await startDatagramServer();
    const { asked, lookup } = lookupInHand();
    const open = datagramUplinks(datagramServicesFor(serverAt('server.example', server.port), { lookup }));
    const { send, dropped, failed } = openUplink(open);
    const texts = Array.from({ length: 20 }, (_, number) => `datagram ${number}`);
    for (const text of texts) send(NAME, text);
    expect(asked.map(({ host }) => host)).toEqual(['server.example']);
    asked[0]!.answer('127.0.0.1');
    send(NAME, 'last');
    const came = await server.received.take(21);
    expect(came.map(({ payload }) => payload)).toEqual([...texts, 'last']);
    expect([...dropped.drain(), ...failed.drain()]).toEqual([]);
  });

  it('drops what is more than may wait for the name', async () => {
    const server = await startDatagramServer();
    const { asked, lookup } = lookupInHand();
    const open = datagramUplinks(datagramServicesFor(serverAt('server.example', server.port), { lookup }));
    const { send, dropped } = openUplink(open);
    for (let count = 0; count < 1026; count++) send(NAME, '');
    expect(dropped.drain()).toEqual(['congested', 'congested']);
    asked[0]!.answer('127.0.0.1');
    expect((await server.received.next()).payload).toBe('');
    const passes = () => {
      send(NAME, 'after');
      return server.received.drain().at(-1)?.payload;
    };
    await expect.poll(passes).toBe('after');
    expect(dropped.drain()).toEqual([]);
  });

  it('tells of a name that does not resolve, drops what waits for it, and asks again at the next datagram', async () => {
    const server = await startDatagramServer();
    const { asked, lookup } = lookupInHand();
    const open = datagramUplinks(datagramServicesFor(serverAt('server.example', server.port), { lookup }));
    const { send, dropped, failed } = openUplink(open);
    send(NAME, 'lost');
    asked[0]!.answer(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }));
    expect(await failed.next()).toMatchObject({
      code: 'ERR_DIAL',
      message: `server.example:${server.port}: no such name`,
    });
    expect.soft(dropped.drain(), 'what waited').toHaveLength(1);
    send(NAME, 'found');
    expect(asked, 'look-ups').toHaveLength(2);
    asked[1]!.answer('127.0.0.1');
    const came = await server.received.next();
    expect(came.payload).toBe('found');
  });

  it('goes on without a way to the server, tells so, and tries again with the next datagram', async () => {
    const { asked, lookup } = lookupInHand();
    const server = await startDatagramServer('127.0.0.1');
    const services = datagramServicesFor(serverAt('server.example', server.port));
    const { send, dropped, failed } = openUplink(datagramUplinks({ ...services, lookup }));
    send(NAME, 'lost');
    asked[0]!.answer('255.255.255.255'); // where only who asks for broadcasts may send
    expect(await dropped.next()).toBe('unreachable');
    expect((await failed.next()).message).toContain('there is no route to it');
    send(NAME, 'heard');
    asked[1]!.answer('127.0.0.1');
    expect((await server.received.next()).payload).toBe('heard');
  });

  it('looks for the server anew when the network has changed', async () => {
    const { server, send, failed } = await connected();
    send(NAME, 'one');
    const before = (await server.received.next()).from.port;
    const lost = vi.spyOn(Socket.prototype, 'send').mockImplementationOnce((...args: unknown[]) => {
      process.nextTick(args.at(-1) as () => void, Object.assign(new Error('no route'), { code: 'ENETUNREACH' }));
    });
    onTestFinished(() => lost.mockRestore());
    send(NAME, 'lost');
    expect((await failed.next()).message).toContain('ENETUNREACH');
    send(NAME, 'heard');
    const { payload, from } = await server.received.next();
    expect(payload).toBe('heard');
    expect(from.port).not.toBe(before);
  });

  it('that is closed while the name is looked up opens nothing and says nothing', async () => {
    const server = await startDatagramServer();
    const { asked, lookup } = lookupInHand();
    const open = datagramUplinks(datagramServicesFor(serverAt('server.example', server.port), { lookup }));
    const closed = openUplink(open);
    closed.send(NAME, 'too late');
    closed.uplink.close();
    const binding = vi.spyOn(Socket.prototype, 'bind');
    onTestFinished(() => binding.mockRestore());
    asked[0]!.answer('127.0.0.1');
    expect(binding).not.toHaveBeenCalled();
    const other = openUplink(open);
    asked[1]!.answer('127.0.0.1');
    other.send(NAME, 'in time');
    expect((await server.received.next()).payload).toBe('in time');
    closed.uplink.close(); // does no harm
    closed.send(NAME, 'never');
    other.send(NAME, 'afterwards');
    expect((await server.received.next()).payload).toBe('afterwards');
    expect([...closed.dropped.drain(), ...closed.failed.drain()]).toEqual([]);
  });

  it('tells that nobody listens there, and goes on once somebody does', async () => {
    const port = await closedPort();
    const { send, failed } = openUplink(datagramUplinks(datagramServicesFor(serverAt('127.0.0.1', port))));
    send(NAME, 'anybody?');
    const error = await failed.next();
    expect(error).toMatchObject({
      code: 'ERR_DIAL',
      message: `127.0.0.1:${port} over UDP: no ss-server listens for UDP there (-u)`,
    });
    const server = await startDatagramServer('127.0.0.1', port);
    send(NAME, 'now?');
    expect((await server.received.next()).payload).toBe('now?');
  });

  it('drops an answer that was altered, cut or is garbage, and counts each', async () => {
    const { server, send, received, dropped } = await connected();
    send(NAME, 'a question');
    await server.received.next();
    const wire = server.seal(NAME, 'an answer');
    for (let bit = 0; bit < wire.length * 8; bit += 5) {
      const altered = Uint8Array.from(wire);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      server.send(altered);
      expect(await dropped.next(), `bit ${bit}`).toBe('authentication');
    }
    for (const length of [0, 1, 15, 16, 32, wire.length - 1]) {
      server.send(wire.subarray(0, length));
      expect(await dropped.next(), `${length} bytes`).toBe('authentication');
    }
    server.send(wire);
    expect(await received.next()).toEqual({ target: NAME, payload: 'an answer' });
    expect([...received.drain(), ...dropped.drain()]).toEqual([]);
  });

  it('takes an answer once', async () => {
    const { server, send, received, dropped } = await connected();
    send(NAME, 'a question');
    await server.received.next();
    const wires = ['one', 'two', 'three'].map(text => Uint8Array.from(server.seal(NAME, text)));
    for (const wire of [...wires, ...wires]) server.send(wire);
    expect((await received.take(3)).map(({ payload }) => payload)).toEqual(['one', 'two', 'three']);
    for (let count = 0; count < 3; count++) expect(await dropped.next()).toBe('replay');
    expect(received.drain()).toEqual([]);
  });

  it('does not take the answer of another session', async () => {
    const { server, send, received, dropped } = await connected();
    send(NAME, 'a question');
    await server.received.next();
    const other = openUplink(datagramUplinks(datagramServicesFor(serverAt('127.0.0.1', server.port))));
    const foreign = server.seal(NAME, 'for the first');
    other.send(NAME, 'another question');
    await server.received.next();
    server.send(foreign); // to the second
    expect(await other.dropped.next()).toBe('replay');
    expect([...received.drain(), ...other.received.drain(), ...dropped.drain()]).toEqual([]);
  });

  it('hears nobody but the server', async () => {
    const { server, send, received, dropped } = await connected();
    send(NAME, 'a question');
    const { from } = await server.received.next();
    const stranger = createSocket('udp4');
    onTestFinished(() => void stranger.close());
    const wire = Uint8Array.from(server.seal(NAME, 'an answer'));
    await new Promise(resolve => stranger.send(wire, from.port, '127.0.0.1', resolve));
    await new Promise(resolve => stranger.send(bytes('garbage'), from.port, '127.0.0.1', resolve));
    server.send(server.seal(NAME, 'a second answer'));
    expect((await received.next()).payload).toBe('a second answer');
    expect([...received.drain(), ...dropped.drain()]).toEqual([]);
  });

  it('drops what no datagram can hold, or has no address, and goes on', async () => {
    const { server, send, dropped } = await connected();
    send(NAME, 'a question');
    await server.received.next();
    send(NAME, new Uint8Array(65_507));
    expect(await dropped.next()).toBe('too-long');
    send({ type: 'name', host: '', port: 53 }, 'nobody');
    expect(await dropped.next()).toBe('malformed');
    send(NAME, 'another');
    expect((await server.received.next()).payload).toBe('another');
  });
});
