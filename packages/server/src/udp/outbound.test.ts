import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Address } from '@podsocks/shared/dns/address';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { resolveError } from '../resolver/failure.ts';
import { recordedSession } from '../sessions/session-fixtures.ts';
import { type Destination, Outbound, type OutboundOptions } from './outbound.ts';
import { TargetNames } from './target-names.ts';

/** Sends back what it gets, in capitals; and knows what it got, and from where. */
interface Peer {
  readonly socket: Socket;
  readonly port: number;
  readonly received: string[];
  readonly senders: RemoteInfo[];
}

async function startPeer(host = '127.0.0.1'): Promise<Peer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const received: string[] = [];
  const senders: RemoteInfo[] = [];
  socket.on('message', (data, from) => {
    received.push(String(data));
    senders.push(from);
    socket.send(String(data).toUpperCase(), from.port, from.address, () => {});
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return { socket, port: socket.address().port, received, senders };
}

interface Lookup {
  readonly name: string;
  readonly settle: (...addresses: string[]) => void;
}

/** An association whose resolver the test is. */
function outbound(options: Partial<OutboundOptions> = {}) {
  const lookups: Lookup[] = [];
  const asked: Destination[] = [];
  const drops: string[] = [];
  const answers: { readonly from: Target; readonly data: string }[] = [];
  const known = new Map<string, readonly Address[]>();
  const resolve = (name: string) =>
    new Promise<readonly Address[]>((answer, fail) => {
      const settle = (...addresses: string[]) => {
        if (addresses.length === 0) return fail(resolveError(name, 'not-found'));
        const found = addresses.map(address => ({
          address,
          family: address.includes(':') ? (6 as const) : (4 as const),
        }));
        known.set(name, found);
        answer(found);
      };
      lookups.push({ name, settle });
    });
  const counts = new DatagramCounts();
  const { session, heard } = recordedSession();
  const own = new Outbound({
    names: new TargetNames({ known: name => known.get(name), resolve }, undefined, 64),
    judgeName: () => undefined,
    judge(destination) {
      asked.push(destination);
      return { allowed: true, rule: 'test' };
    },
    bindAddress: {},
    session,
    counts,
    dropped(reason) {
      counts.drop(reason);
      drops.push(reason);
    },
    receive: (from, data) => answers.push({ from, data: String(data) }),
    ...options,
  });
  onTestFinished(() => own.close());
  const send = (to: Target, text: string) => {
    const space = Buffer.from(`..${text}..`);
    own.send(to, space, 2, text.length);
    space.fill(0xee); // nothing of it is needed any more
  };
  return { own, send, lookups, known, asked, drops, answers, counts, session, heard };
}

const named = (host: string, port: number): Target => ({ type: 'name', host, port });

describe.each(['127.0.0.1', '::1'])('to %s', host => {
  it('goes what was sent, and what comes back has its origin', async () => {
    const peer = await startPeer(host);
    const { send, asked, answers, counts } = outbound();
    send(targetOf(host, peer.port), 'hello');
    await expect.poll(() => answers).toEqual([{ from: targetOf(host, peer.port), data: 'HELLO' }]);
    expect(peer.received).toEqual(['hello']);
    expect(asked).toEqual([{ user: 'alice', address: host, port: peer.port, name: undefined }]);
    expect(counts).toMatchObject({ packetsUp: 1, bytesUp: 5, drops: {} });
  });

  it('goes what was sent to a name, once it is known', async () => {
    const peer = await startPeer(host);
    const { send, lookups, asked, answers } = outbound();
    send(named('a.example', peer.port), 'hello');
    expect(asked).toEqual([]);
    lookups[0]!.settle(host);
    await expect.poll(() => answers).toEqual([{ from: targetOf(host, peer.port), data: 'HELLO' }]);
    expect(asked).toEqual([{ user: 'alice', address: host, port: peer.port, name: 'a.example' }]);
  });

  it('leaves from the address that it is to leave from', async () => {
    const peer = await startPeer(host);
    const { send } = outbound({ bindAddress: { ipv4: '127.0.0.7', ipv6: '::1' } });
    send(targetOf(host, peer.port), 'hello');
    await expect.poll(() => peer.senders.map(({ address }) => address)).toEqual([host === '::1' ? '::1' : '127.0.0.7']);
  });
});

it('all of one family leaves from one port, and that of another association from another', async () => {
  const [one, two] = [await startPeer(), await startPeer()];
  const [first, second] = [outbound(), outbound()];
  for (const peer of [one, two, one]) first.send(targetOf('127.0.0.1', peer.port), 'first');
  second.send(targetOf('127.0.0.1', one.port), 'second');
  await expect.poll(() => [one.received.length, two.received.length]).toEqual([3, 1]);
  const portOf = (text: string) =>
    new Set(
      [one, two].flatMap(({ received, senders }) => senders.filter((_, i) => received[i] === text)).map(s => s.port),
    );
  expect(portOf('first').size).toBe(1);
  expect(portOf('second').size).toBe(1);
  expect(portOf('first')).not.toEqual(portOf('second'));
  await expect.poll(() => first.answers.length).toBe(3);
  expect(second.answers.map(({ data }) => data)).toEqual(['SECOND']);
});

describe('what is not permitted', () => {
  const refuse = (refused: string) => ({
    judge: ({ address }: Destination) => ({ allowed: address !== refused, rule: 'not there' }),
  });

  it('does not leave, and is counted', async () => {
    const peer = await startPeer();
    const { send, drops, counts, answers } = outbound(refuse('127.0.0.1'));
    send(targetOf('127.0.0.1', peer.port), 'no');
    expect(drops).toEqual(['denied']);
    expect(counts).toMatchObject({ packetsUp: 0, drops: { denied: 1 } });
    expect({ received: peer.received, answers }).toEqual({ received: [], answers: [] });
  });

  it.each([
    ['a name that means it', named('rebound.example', 0), ['127.0.0.1']],
    ['a name that means it in IPv6', named('mapped.example', 0), ['::ffff:127.0.0.1']],
    ['a name that means it in IPv6, in other words', named('mapped.example', 0), ['::ffff:7f00:1']],
    ['its mapped IPv6 address', targetOf('::ffff:127.0.0.1', 0), []],
    ['its mapped IPv6 address in other words', targetOf('::ffff:7f00:1', 0), []],
  ] as const)('does not leave for %s either', async (_, target, addresses) => {
    const peer = await startPeer();
    const { send, lookups, drops } = outbound(refuse('127.0.0.1'));
    send({ ...target, port: peer.port }, 'no');
    lookups[0]?.settle(...addresses);
    await expect.poll(() => drops).toEqual(['denied']);
    // To be sure that nothing is on its way, something that may go follows.
    const other = outbound();
    other.send(targetOf('127.0.0.1', peer.port), 'yes');
    await expect.poll(() => peer.received).toEqual(['yes']);
  });

  it('is asked about with the address, not the name, that the answer gave each time', async () => {
    const peer = await startPeer();
    const { send, lookups, asked } = outbound();
    send(named('a.example', peer.port), 'one');
    send(named('a.example', peer.port), 'two');
    lookups[0]!.settle('127.0.0.1', '192.0.2.1');
    await expect.poll(() => peer.received).toEqual(['one', 'two']);
    send(named('a.example', peer.port), 'three');
    expect(asked).toEqual(Array(3).fill({ user: 'alice', address: '127.0.0.1', port: peer.port, name: 'a.example' }));
  });
});

it('a name goes to the address that it went to first, for as long as it has that', async () => {
  const one = await startPeer();
  const at = (address: string) => ({ address, family: 4 as const });
  const { send, known, asked } = outbound();
  const chosen = (...addresses: string[]) => {
    known.set('headless.example', addresses.map(at));
    send(named('headless.example', one.port), 'x');
    return asked.at(-1)!.address;
  };
  expect(chosen('127.0.0.1', '127.0.0.2')).toBe('127.0.0.1');
  expect(chosen('127.0.0.2', '127.0.0.1')).toBe('127.0.0.1');
  expect(chosen('127.0.0.2', '127.0.0.3')).toBe('127.0.0.2');
  expect(chosen('127.0.0.1', '127.0.0.2')).toBe('127.0.0.2');
});

it('a mapped IPv6 address is the IPv4 address, also for its answers', async () => {
  const peer = await startPeer();
  const { send, answers } = outbound();
  send(targetOf('::ffff:127.0.0.1', peer.port), 'mapped');
  await expect.poll(() => answers).toEqual([{ from: targetOf('127.0.0.1', peer.port), data: 'MAPPED' }]);
  expect(peer.senders[0]).toMatchObject({ address: '127.0.0.1', family: 'IPv4' });
});

// The system takes these for addresses, and the policy would be asked with a spelling that it does not know.
it.each(['::1%1', '::1%lo', '::FFFF:127.0.0.1%1', 'a:b'])('the name %s, which is none, is not looked up', host => {
  const { send, lookups, drops, asked } = outbound();
  send(named(host, 9), 'x');
  expect({ drops, lookups: lookups.length, asked }).toEqual({ drops: ['name'], lookups: 0, asked: [] });
});

it('many that are empty do not wait without end for a name', () => {
  const { send, drops } = outbound();
  for (let count = 0; count < 600; count++) send(named('a.example', 9), '');
  expect(drops).toHaveLength(600 - (256 * 1024) / 512);
});

// Clients send addresses as names, in any spelling; answers come from the one that the system has.
it.each(['0:0:0:0:0:0:0:1', '::0001'])('the address ::1, sent as the name %s, gets its answers', async host => {
  const peer = await startPeer('::1');
  const { send, lookups, answers, asked } = outbound();
  send(named(host, peer.port), 'hello');
  lookups[0]?.settle(host);
  await expect.poll(() => peer.received).toEqual(['hello']);
  await expect.poll(() => answers).toEqual([{ from: targetOf('::1', peer.port), data: 'HELLO' }]);
  expect(asked.map(({ address }) => address)).toEqual(['::1']);
});

// The same, where the policy is asked: an address has one spelling.
it.each(['::FFFF:127.0.0.1', '0:0:0:0:0:ffff:7f00:1'])(
  'the address 127.0.0.1, sent as the name %s, is it',
  async host => {
    const peer = await startPeer();
    const { send, lookups, asked } = outbound();
    send(named(host, peer.port), 'hello');
    lookups[0]?.settle(host);
    await expect.poll(() => asked.map(({ address }) => address)).toEqual(['127.0.0.1']);
    await expect.poll(() => peer.received).toEqual(['hello']);
  },
);

describe('what comes back', () => {
  it('is taken from any port of an address that was written to, and from no other address', async () => {
    const peer = await startPeer();
    const { send, answers, drops } = outbound();
    send(targetOf('127.0.0.1', peer.port), 'hello');
    await expect.poll(() => answers).toHaveLength(1);
    const { port } = peer.senders[0]!;

    const [sameHost, stranger] = [createSocket('udp4'), createSocket('udp4')];
    onTestFinished(() => {
      sameHost.close();
      stranger.close();
    });
    stranger.bind(0, '127.0.0.2');
    await once(stranger, 'listening');
    await new Promise(resolve => stranger.send('stranger', port, '127.0.0.1', resolve));
    sameHost.send('another port', port, '127.0.0.1');
    await expect.poll(() => drops).toEqual(['stranger']);
    await expect.poll(() => answers.map(({ data }) => data)).toEqual(['HELLO', 'another port']);
    expect(answers[1]!.from).toEqual(targetOf('127.0.0.1', sameHost.address().port));
  });

  it('is of its own family: who was written to by IPv4 is no peer by IPv6', async () => {
    const [peer, peer6] = [await startPeer(), await startPeer('::1')];
    const { send, answers, drops } = outbound();
    send(targetOf('127.0.0.1', peer.port), 'four');
    send(targetOf('::1', peer6.port), 'six');
    await expect.poll(() => answers.map(({ data }) => data).sort()).toEqual(['FOUR', 'SIX']);
    expect(drops).toEqual([]);
  });

  it('is taken from the 4096 addresses that were written to first and last alike, and then not from the first', async () => {
    const peer = await startPeer();
    const { send, drops, answers } = outbound();
    send(targetOf('127.0.0.1', peer.port), 'first');
    await expect.poll(() => answers).toHaveLength(1);
    const { port } = peer.senders[0]!;
    const others = Array.from({ length: 4096 }, (_, index) => `127.1.${index >> 8}.${index & 255}`);
    for (const host of others.slice(0, 4095)) send(targetOf(host, peer.port), 'x');
    peer.socket.send('still a peer', port, '127.0.0.1');
    await expect.poll(() => answers.map(({ data }) => data)).toContain('still a peer');
    send(targetOf(others[4095]!, peer.port), 'x');
    peer.socket.send('no peer', port, '127.0.0.1');
    await expect.poll(() => drops).toContain('stranger');
    expect(answers.map(({ data }) => data)).not.toContain('no peer');
  });
});

describe('a name that is being looked up', () => {
  it('holds back what goes there, in order', async () => {
    const peer = await startPeer();
    const { send, lookups } = outbound();
    const sent = Array.from({ length: 50 }, (_, index) => `datagram ${index}`);
    for (const text of sent.slice(0, 40)) send(named('a.example', peer.port), text);
    expect(lookups).toHaveLength(1);
    lookups[0]!.settle('127.0.0.1');
    await new Promise(resolve => setImmediate(resolve));
    for (const text of sent.slice(40)) send(named('a.example', peer.port), text); // it is known by now
    await expect.poll(() => peer.received).toEqual(sent);
  });

  it('holds back nothing else', async () => {
    const peer = await startPeer();
    const { send, lookups } = outbound();
    send(named('slow.example', peer.port), 'slow');
    send(targetOf('127.0.0.1', peer.port), 'by address');
    send(named('fast.example', peer.port), 'by another name');
    lookups[1]!.settle('127.0.0.1');
    await expect.poll(() => peer.received).toEqual(['by address', 'by another name']);
    lookups[0]!.settle('127.0.0.1');
    await expect.poll(() => peer.received).toEqual(['by address', 'by another name', 'slow']);
  });

  it('holds 256 KiB at most, and as many again when it is known', async () => {
    const { send, lookups, drops, counts } = outbound();
    const datagram = 'x'.repeat(64 * 1000);
    for (let count = 0; count < 4; count++) send(named('a.example', 9), datagram);
    expect(drops).toEqual([]);
    send(named('a.example', 9), datagram);
    expect(drops).toEqual(['busy']);
    send(named('b.example', 9), 'x'.repeat(256 * 1024 - 4 * 64 * 1000 - 5 * 512));
    expect(drops).toEqual(['busy']);
    send(named('c.example', 9), 'x');
    expect(drops).toEqual(['busy', 'busy']);
    for (const { settle } of lookups) settle();
    await expect.poll(() => drops.filter(reason => reason === 'name')).toHaveLength(5);
    send(named('d.example', 9), datagram);
    expect(drops).toHaveLength(7);
    expect(counts.drops).toEqual({ busy: 2, name: 5 });
  });

  it('that does not exist drops what went there, and is asked for again, by then of the resolver that remembers', async () => {
    const { send, lookups, drops } = outbound();
    send(named('nothing.example', 9), 'one');
    send(named('nothing.example', 9), 'two');
    lookups[0]!.settle();
    await expect.poll(() => drops).toEqual(['name', 'name']);
    send(named('nothing.example', 9), 'three');
    expect(drops).toEqual(['name', 'name']);
    lookups[1]!.settle();
    await expect.poll(() => drops).toEqual(['name', 'name', 'name']);
  });

  it('is one of 32: the next is dropped as busy', () => {
    const { send, drops, lookups } = outbound();
    for (let count = 0; count < 33; count++) send(named(`${count}.example`, 9), 'x');
    expect(drops).toEqual(['busy']);
    expect(lookups).toHaveLength(32);
  });

  it('may come too late: nothing leaves when it is closed by then', async () => {
    const peer = await startPeer();
    const { own, send, lookups, asked, drops, counts } = outbound();
    send(named('a.example', peer.port), 'too late');
    own.close();
    lookups[0]!.settle('127.0.0.1');
    const other = outbound();
    other.send(targetOf('127.0.0.1', peer.port), 'in time');
    await expect.poll(() => peer.received).toEqual(['in time']);
    expect({ asked, drops }).toEqual({ asked: [], drops: [] });
    expect(counts.packetsUp).toBe(0);
  });
});

it.each([targetOf('127.0.0.1', 0), targetOf('::1', 0)])('to port 0 goes nothing: %o', target => {
  const { send, drops, asked } = outbound();
  send(target, 'x');
  expect({ drops, asked }).toEqual({ drops: ['unreachable'], asked: [] });
});

it('what no network takes is counted as too long, and the next goes', async () => {
  const peer = await startPeer();
  const { own, send, drops } = outbound();
  own.send(targetOf('127.0.0.1', peer.port), Buffer.alloc(65_535), 0, 65_535);
  await expect.poll(() => drops).toEqual(['too-long']);
  send(targetOf('127.0.0.1', peer.port), 'short');
  await expect.poll(() => peer.received).toEqual(['short']);
});

it('what cannot leave from the address that it should is counted as unreachable', () => {
  const { send, drops } = outbound({ bindAddress: { ipv4: '192.0.2.77' } });
  send(targetOf('127.0.0.1', 9), 'x');
  expect(drops).toEqual(['unreachable']);
});

it('closes twice', async () => {
  const peer = await startPeer();
  const { own, send } = outbound();
  send(targetOf('127.0.0.1', peer.port), 'x');
  await expect.poll(() => peer.received).toHaveLength(1);
  own.close();
  own.close();
});
