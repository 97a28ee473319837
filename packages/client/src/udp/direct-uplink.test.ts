import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { DatagramSocket } from '@podsocks/shared/net/datagram-socket';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { directUplinks } from './direct-uplink.ts';
import { Inbox, openUplink } from './uplink-fixtures.ts';

vi.mock('node:dns/promises');

/** Look-ups in the test's own hands. */
interface LookUp {
  readonly host: string;
  find(address: string): void;
  fail(): void;
}

let asked: Inbox<LookUp>;

beforeEach(() => {
  asked = new Inbox();
  vi.mocked(lookup as (host: string) => Promise<{ address: string; family: number }>).mockImplementation(
    host =>
      new Promise((resolve, reject) =>
        asked.put({
          host,
          find: address => resolve({ address, family: address.includes(':') ? 6 : 4 }),
          fail: () => reject(Object.assign(new Error(host), { code: 'ENOTFOUND' })),
        }),
      ),
  );
});

/** A target that keeps what it gets. */
async function startTarget(host = '127.0.0.1') {
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const received = new Inbox<{ readonly payload: string; readonly from: RemoteInfo }>();
  socket.on('message', (data, from) => received.put({ payload: String(data), from }));
  socket.bind(0, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  const { port } = socket.address();
  const answer = (payload: string, { address, port }: RemoteInfo) => socket.send(payload, port, address);
  return { host, port, target: targetOf(host, port), received, answer };
}

function open(isAllowed = (_address: string, _port: number) => true) {
  return openUplink(directUplinks({ isAllowed }));
}

const named = (port: number, host = 'web.example'): Target => ({ type: 'name', host, port });

describe.each(['127.0.0.1', '::1'])('a datagram to %s', host => {
  it('goes there, and answers come back as from there', async () => {
    const { target, received, answer } = await startTarget(host);
    const ours = open();
    for (const payload of ['question', '']) {
      ours.send(target, payload);
      const { from, ...came } = await received.next();
      expect(came).toEqual({ payload });
      answer(`answer to ${payload}`, from);
      expect(await ours.received.next()).toEqual({ target, payload: `answer to ${payload}` });
    }
    expect(ours.dropped.drain()).toEqual([]);
  });

  it('goes there when a client has sent the address as a name, which nobody looks up', async () => {
    const { port, target, received, answer } = await startTarget(host);
    const ours = open();
    ours.send(named(port, host), 'x');
    answer('y', (await received.next()).from);
    expect(await ours.received.next()).toEqual({ target, payload: 'y' });
    expect(asked.size).toBe(0);
  });
});

describe('an association', () => {
  it('has one port for each family, and another than the next one', async () => {
    const [four, other, six] = [await startTarget(), await startTarget(), await startTarget('::1')];
    const [ours, theirs] = [open(), open()];
    const portTo = async ({ target, received }: typeof four, { send }: typeof ours) => {
      send(target, 'x');
      return (await received.next()).from.port;
    };
    const port = await portTo(four, ours);
    expect(await portTo(other, ours)).toBe(port);
    const portOfSix = await portTo(six, ours);
    expect(await portTo(six, ours)).toBe(portOfSix);
    expect(await portTo(four, theirs)).not.toBe(port);
  });

  it('hears nobody to whom it has not written', async () => {
    const [peer, stranger] = [await startTarget(), await startTarget()];
    const ours = open();
    ours.send(peer.target, 'x');
    const { from } = await peer.received.next();
    stranger.answer('forged', from);
    expect(await ours.dropped.next()).toBe('stranger');
    peer.answer('true', from);
    expect(await ours.received.next()).toMatchObject({ payload: 'true' });
    expect(ours.received.size).toBe(0);
  });

  it('sends nothing where that is not allowed, by the address of a name, too', async () => {
    const { port, target, received } = await startTarget();
    const isAllowed = vi.fn((_: string, at: number) => at !== port);
    const ours = open(isAllowed);
    ours.send(target, 'x');
    expect(await ours.dropped.next()).toBe('denied');
    ours.send(named(port), 'x');
    (await asked.next()).find('127.0.0.1');
    expect(await ours.dropped.next()).toBe('denied');
    expect(isAllowed.mock.calls).toEqual([
      ['127.0.0.1', port],
      ['127.0.0.1', port],
    ]);
    isAllowed.mockReturnValue(true);
    ours.send(target, 'last');
    expect(await received.next()).toMatchObject({ payload: 'last' });
  });

  it('drops what cannot be sent, says why, and goes on', async () => {
    const { target, received } = await startTarget();
    const ours = open();
    ours.send(targetOf('127.0.0.1', 0), 'x');
    expect(await ours.dropped.next()).toBe('unreachable');
    ours.send(targetOf('255.255.255.255', 9), 'x'); // where only who asks for broadcasts may send
    expect(await ours.dropped.next()).toBe('unreachable');
    ours.send(target, Buffer.alloc(65_508));
    expect(await ours.dropped.next()).toBe('too-long');
    ours.send(target, 'short');
    expect(await received.next()).toMatchObject({ payload: 'short' });
    expect(ours.failed.drain()).toEqual([]);
  });

  it('tells that no socket could be opened, and tries again', async () => {
    const { target, received } = await startTarget();
    const bind = vi.spyOn(DatagramSocket, 'bind').mockImplementationOnce(() => {
      throw Object.assign(new Error('none'), { code: 'EMFILE' });
    });
    onTestFinished(() => bind.mockRestore());
    const ours = open();
    ours.send(target, 'x');
    expect(ours.dropped.drain()).toEqual(['descriptors']);
    ours.send(target, 'y');
    expect(await received.next()).toMatchObject({ payload: 'y' });
  });

  it('that is over sends nothing, and says nothing', async () => {
    const { target, port, received } = await startTarget();
    const ours = open();
    ours.send(target, 'x');
    await received.next();
    ours.uplink.close();
    ours.uplink.close();
    ours.send(target, 'y');
    ours.send(named(port), 'y');
    expect(asked.size).toBe(0);
    expect([...ours.dropped.drain(), ...ours.failed.drain()]).toEqual([]);
    const another = open();
    another.send(target, 'z');
    expect(await received.next()).toMatchObject({ payload: 'z' });
  });
});

describe('a name', () => {
  it('is looked up once, for all that wait and all that come later, in their order', async () => {
    const { port, received, answer } = await startTarget();
    const ours = open();
    for (const payload of ['1', '2', '3']) ours.send(named(port), payload);
    (await asked.next()).find('127.0.0.1');
    const came = await received.take(3);
    expect(came.map(({ payload }) => payload)).toEqual(['1', '2', '3']);
    ours.send(named(port), '4');
    expect(await received.next()).toMatchObject({ payload: '4' });
    expect(asked.size).toBe(0);
    answer('5', came[0]!.from);
    expect(await ours.received.next()).toEqual({ target: targetOf('127.0.0.1', port), payload: '5' });
  });

  it('is looked up again after half a minute, with other ports at once not at all', async () => {
    const [one, two] = [await startTarget(), await startTarget()];
    let now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => clock.mockRestore());
    const ours = open();
    ours.send(named(one.port), '1');
    (await asked.next()).find('127.0.0.1');
    await one.received.next();
    now += 29_999;
    ours.send(named(two.port), '2');
    await two.received.next();
    expect(asked.size).toBe(0);
    now += 1;
    ours.send(named(one.port), '3');
    expect((await asked.next()).host).toBe('web.example');
  });

  it('that is not found loses what waits for it, and is looked up again', async () => {
    const { port, received } = await startTarget();
    const ours = open();
    ours.send(named(port), '1');
    ours.send(named(port), '2');
    (await asked.next()).fail();
    expect(await ours.dropped.take(2)).toEqual(['name', 'name']);
    ours.send(named(port), '3');
    (await asked.next()).find('127.0.0.1');
    expect(await received.next()).toMatchObject({ payload: '3' });
  });

  it.each(['fe80::1%lo', '::1%lo'])('%s is none, and nothing goes there', async host => {
    const isAllowed = vi.fn(() => true);
    const ours = open(isAllowed);
    ours.send(named(9, host), 'x');
    expect(await ours.dropped.next()).toBe('name');
    expect(asked.size).toBe(0);
    expect(isAllowed).not.toHaveBeenCalled();
  });

  it('does not make more wait than there is room for', async () => {
    const ours = open();
    for (let count = 0; count < 1026; count++) ours.send(named(9), '');
    expect(ours.dropped.drain()).toEqual(['busy', 'busy']);
    expect(asked.size).toBe(1);
  });

  it.each(['find', 'fail'] as const)(
    'that is looked up (%s) when the association ends has no effect',
    async outcome => {
      const { port, target, received } = await startTarget();
      const isAllowed = vi.fn(() => true);
      const bind = vi.spyOn(DatagramSocket, 'bind');
      onTestFinished(() => bind.mockRestore());
      const ours = open(isAllowed);
      ours.send(named(port), 'late');
      const { [outcome]: settle } = await asked.next();
      ours.uplink.close();
      settle('127.0.0.1');
      await new Promise(setImmediate);
      expect(isAllowed).not.toHaveBeenCalled();
      expect(bind).not.toHaveBeenCalled();
      expect(ours.dropped.drain()).toEqual([]);
      const another = open();
      another.send(target, 'first');
      expect(await received.next()).toMatchObject({ payload: 'first' });
    },
  );

  it('is not looked up where too many others are', async () => {
    const { port, received } = await startTarget();
    const uplinks = directUplinks({ isAllowed: () => true });
    const [ours, theirs, more] = [openUplink(uplinks), openUplink(uplinks), openUplink(uplinks)];
    const flood = ({ send }: typeof ours) => {
      for (let count = 0; count < 40; count++) send(named(port, `name-${count}.example`), 'x');
    };
    flood(ours);
    expect(asked.size, 'one association has half of what there is').toBe(32);
    expect(ours.dropped.drain()).toEqual(Array(8).fill('busy'));
    flood(theirs);
    flood(more);
    expect(asked.size).toBe(64);
    expect(more.dropped.drain()).toEqual(Array(40).fill('busy'));
    const all = await asked.take(64);
    for (const [number, { find, fail }] of all.entries()) number % 2 ? fail() : find('127.0.0.1');
    await received.take(32);
    flood(more);
    expect(asked.size, 'there is room again').toBe(32);
  });

  it('that more than 256 others have pushed out is looked up again', async () => {
    const { port, received } = await startTarget();
    const ours = open();
    for (let count = 0; count < 257; count++) {
      ours.send(named(port, `name-${count}.example`), `${count}`);
      (await asked.next()).find('127.0.0.1');
      expect(await received.next()).toMatchObject({ payload: `${count}` });
    }
    ours.send(named(port, 'name-256.example'), 'known');
    expect(await received.next()).toMatchObject({ payload: 'known' });
    expect(asked.size).toBe(0);
    ours.send(named(port, 'name-0.example'), 'forgotten');
    expect((await asked.next()).host).toBe('name-0.example');
  });
});
