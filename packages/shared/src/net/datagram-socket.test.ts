import { createSocket, type RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { MAX_DATAGRAM_BYTES } from '../crypto/datagram.ts';
import { type Binding, DatagramSocket, datagramSpace, type Origin } from './datagram-socket.ts';

interface Bound {
  readonly socket: DatagramSocket;
  /** What came, and what failed, each in turn. */
  readonly received: { readonly data: string; readonly from: Origin }[];
  readonly failures: string[];
}

function bind(binding: Binding = { address: '127.0.0.1' }): Bound {
  const received: Bound['received'] = [];
  const failures: string[] = [];
  const socket = DatagramSocket.bind(binding, {
    receive: (data, { address, port }) => received.push({ data: String(data), from: { address, port } }),
    failed: error => failures.push(String(error.code)),
    receiveBufferBytes: 64 * 1024,
  });
  onTestFinished(() => socket.close());
  return { socket, received, failures };
}

/** Node's own, at the other end. */
async function startPeer(host = '127.0.0.1'): Promise<{ socket: Socket; at: Origin; next: () => Promise<string> }> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  const next = async () => String(((await once(socket, 'message')) as [Buffer, RemoteInfo])[0]);
  return { socket, at: { address: host, port: socket.address().port }, next };
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describe.each(['127.0.0.1', '::1'])('a socket at %s', host => {
  it('is bound at once, to a free port, and carries datagrams both ways', async () => {
    const { socket, received } = bind({ address: host });
    expect(socket.local).toEqual({ address: host, port: expect.any(Number) });
    expect(socket.local.port).toBeGreaterThan(0);
    const peer = await startPeer(host);
    const arrived = peer.next();
    expect(socket.send(bytes('..hello..'), 2, 5, peer.at)).toBe(true);
    expect(await arrived).toBe('hello');
    peer.socket.send('back', socket.local.port, host);
    await expect.poll(() => received).toEqual([{ data: 'back', from: peer.at }]);
  });

  it('carries a datagram of no bytes', async () => {
    const { socket, received } = bind({ address: host });
    const peer = await startPeer(host);
    const arrived = peer.next();
    socket.send(bytes(''), 0, 0, peer.at);
    expect(await arrived).toBe('');
    peer.socket.send('', socket.local.port, host);
    await expect.poll(() => received).toEqual([{ data: '', from: peer.at }]);
  });

  it('that is connected sends to its peer, and hears nobody else', async () => {
    const { socket, received } = bind({ address: host });
    const [peer, stranger] = [await startPeer(host), await startPeer(host)];
    socket.connect(peer.at);
    const arrived = peer.next();
    expect(socket.send(bytes('hello'), 0, 5)).toBe(true);
    expect(await arrived).toBe('hello');
    await new Promise(resolve => stranger.socket.send('stranger', socket.local.port, host, resolve));
    peer.socket.send('peer', socket.local.port, host);
    await expect.poll(() => received).toEqual([{ data: 'peer', from: peer.at }]);
  });

  it('that is connected is told when nobody is there, and goes on', async () => {
    const { socket, received, failures } = bind({ address: host });
    const gone = bind({ address: host });
    const { local } = gone.socket;
    socket.connect(local);
    gone.socket.close();
    socket.send(bytes('anybody?'), 0, 8);
    await expect.poll(() => failures).toContain('ECONNREFUSED');
    const back = bind(local);
    socket.send(bytes('now?'), 0, 4);
    await expect.poll(() => back.received).toEqual([{ data: 'now?', from: socket.local }]);
    expect(received).toEqual([]);
  });

  it('is told of a datagram that is too long for any network, and goes on', async () => {
    const { socket, failures } = bind({ address: host });
    const peer = await startPeer(host);
    const tooLong = new Uint8Array(MAX_DATAGRAM_BYTES + 21); // 20 bytes more are what IPv6 can carry
    expect(socket.send(tooLong, 0, tooLong.length, peer.at)).toBe(true);
    await expect.poll(() => failures).toEqual(['EMSGSIZE']);
    const arrived = peer.next();
    expect(socket.send(bytes('hello'), 0, 5, peer.at)).toBe(true);
    expect(await arrived).toBe('hello');
    expect(failures).toEqual(['EMSGSIZE']);
  });

  it('says at once that its port is taken, and leaves nothing open', async () => {
    const { socket } = bind({ address: host });
    const { port } = socket.local;
    expect(() => bind({ address: host, port })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    socket.close();
    expect(bind({ address: host, port }).socket.local.port).toBe(port);
  });

  it('may be closed twice, and sends nothing more', async () => {
    const { socket, failures } = bind({ address: host });
    const peer = await startPeer(host);
    socket.send(bytes('first'), 0, 5, peer.at);
    socket.close();
    socket.close();
    expect(socket.send(bytes('second'), 0, 6, peer.at)).toBe(false);
    await new Promise(resolve => setImmediate(resolve));
    expect(failures).toEqual([]);
  });
});

it('does not bind an address that is not of this machine', () => {
  expect(() => bind({ address: '192.0.2.77' })).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }));
});

it('of :: hears both families, unless it is to be IPv6 alone', async () => {
  const both = bind({ address: '::' });
  const alone = bind({ address: '::', ipv6Only: true });
  const peer = await startPeer();
  const peer6 = await startPeer('::1');
  for (const { socket } of [both, alone]) {
    peer.socket.send('4', socket.local.port, '127.0.0.1');
    await new Promise(resolve => setImmediate(resolve));
    peer6.socket.send('6', socket.local.port, '::1');
  }
  await expect.poll(() => both.received.map(({ data }) => data).sort()).toEqual(['4', '6']);
  await expect.poll(() => alone.received.map(({ data }) => data)).toEqual(['6']);
  expect(both.received.map(({ from }) => from.address).sort()).toEqual(['::1', '::ffff:127.0.0.1']);
});

it('does not fail the program when the port to send to is 0, which the sender of a datagram may have written', async () => {
  const { socket, failures } = bind();
  const peer = await startPeer();
  const isSent = socket.send(bytes('nowhere'), 0, 7, { address: '127.0.0.1', port: 0 });
  if (isSent) await expect.poll(() => failures).toHaveLength(1);
  const arrived = peer.next();
  expect(socket.send(bytes('hello'), 0, 5, peer.at)).toBe(true);
  expect(await arrived).toBe('hello');
});

it('sends what stands in the common space before somebody else writes there', async () => {
  const { socket } = bind();
  const peer = await startPeer();
  const received: string[] = [];
  peer.socket.on('message', data => received.push(String(data)));
  const sent = Array.from({ length: 200 }, (_, index) => `datagram ${index}`);
  for (const text of sent) {
    const space = datagramSpace(text.length);
    space.set(bytes(text));
    socket.send(space, 0, text.length, peer.at);
    datagramSpace(text.length).fill(0);
  }
  await expect.poll(() => received).toEqual(sent);
});

describe('a network that is busy', () => {
  it('keeps one datagram waiting, in a space of its own, and no second one', async () => {
    const { socket } = bind();
    const peer = await startPeer();
    const queue = vi.spyOn(Socket.prototype, 'getSendQueueCount');
    onTestFinished(() => queue.mockRestore());
    for (const length of [100, 10_000]) {
      const send = () => socket.send(datagramSpace(length), 0, length, peer.at);
      queue.mockReturnValue(0);
      const space = datagramSpace(length);
      expect(send()).toBe(true);
      expect(datagramSpace(length)).toBe(space); // the system has taken it
      queue.mockReturnValue(1);
      expect(send()).toBe(true);
      expect(datagramSpace(length)).not.toBe(space); // it waits there
      expect(send()).toBe(false);
      queue.mockReturnValue(0);
      expect(send()).toBe(true);
    }
  });

  it('never gets an array that is somebody else’s, who may write there again', async () => {
    const { socket } = bind();
    const peer = await startPeer();
    const sent: Uint8Array[] = [];
    const send = vi
      .spyOn(Socket.prototype, 'send')
      .mockImplementation((data: unknown) => void sent.push(data as Buffer));
    onTestFinished(() => send.mockRestore());
    for (const length of [5, 60_000]) {
      const pooled = new Uint8Array(length + 2).fill(7);
      socket.send(pooled, 1, length, peer.at);
      expect(sent.at(-1)!.buffer).not.toBe(pooled.buffer);
      expect(sent.at(-1)!.subarray(0, length)).toEqual(Buffer.alloc(length, 7));
    }
  });
});

it('is not connected where there is no way, says why, and sends nothing', async () => {
  const { socket, failures } = bind({ address: '0.0.0.0' });
  expect(socket.connect({ address: '255.255.255.255', port: 9 })).toBe(false); // not without SO_BROADCAST
  expect(socket.send(bytes('nobody'), 0, 6)).toBe(false);
  await expect.poll(() => failures).toEqual(['EACCES']);
});

it('says nothing any more once it is closed', async () => {
  const { socket, failures } = bind({ address: '0.0.0.0' });
  socket.connect({ address: '255.255.255.255', port: 9 });
  socket.close();
  const other = bind({ address: '0.0.0.0' });
  other.socket.connect({ address: '255.255.255.255', port: 9 });
  await expect.poll(() => other.failures).toEqual(['EACCES']);
  expect(failures).toEqual([]);
});
