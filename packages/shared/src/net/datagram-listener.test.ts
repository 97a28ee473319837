import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasReusePort } from '../runtime/node-features.ts';
import { DatagramListener, type DatagramListenerOptions } from './datagram-listener.ts';
import type { DatagramSocket } from './datagram-socket.ts';

interface Heard {
  readonly data: string;
  readonly socket: DatagramSocket;
}

function listener(options: Partial<DatagramListenerOptions> = {}): { own: DatagramListener; heard: Heard[] } {
  const heard: Heard[] = [];
  const own = new DatagramListener({
    sharePort: false,
    reusePort: false,
    receive(data, from, socket) {
      heard.push({ data: String(data), socket });
      socket.send(data, 0, data.length, from);
    },
    failed: () => {},
    ...options,
  });
  onTestFinished(() => own.close());
  return { own, heard };
}

/** What a listener that echoes answers, to a socket of its own. */
async function ask(host: string, port: number, question: string): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  onTestFinished(() => new Promise<void>(resolve => socket.close(resolve)));
  const answer = once(socket, 'message');
  socket.send(question, port, host);
  const [data, from] = await answer;
  expect(from.port).toBe(port);
  return String(data);
}

it('hears each of its endpoints, of either family, and answers from there', async () => {
  const { own, heard } = listener();
  await own.listen([
    { host: '127.0.0.1', port: 0 },
    { host: '::1', port: 0 },
    { host: 'localhost', port: 0 },
  ]);
  const [v4, v6, named] = own.addresses;
  expect(own.addresses).toEqual([
    { host: '127.0.0.1', port: expect.any(Number) },
    { host: '::1', port: expect.any(Number) },
    { host: expect.stringMatching(/^(127\.0\.0\.1|::1)$/), port: expect.any(Number) },
  ]);
  expect(named!.port).not.toBe(v4!.port);
  for (const { host, port } of [v4!, v6!, named!]) {
    expect(port).toBeGreaterThan(0);
    expect(await ask(host, port, `to ${host}`)).toBe(`to ${host}`);
  }
  expect(heard).toHaveLength(3);
});

it('says what is wrong, and with which endpoint, and then listens nowhere', async () => {
  const { own: taken } = listener();
  await taken.listen([{ host: '127.0.0.1', port: 0 }]);
  const { port } = taken.addresses[0]!;

  const { own } = listener();
  const free = createSocket('udp4').bind(0, '127.0.0.1');
  await once(free, 'listening');
  const freed = free.address().port;
  await new Promise<void>(resolve => free.close(resolve));
  await expect(
    own.listen([
      { host: '127.0.0.1', port: freed },
      { host: '127.0.0.1', port },
    ]),
  ).rejects.toMatchObject({
    name: 'PodsocksError',
    code: 'ERR_LISTEN',
    message: `UDP 127.0.0.1:${port} is taken by another program; choose another port, or find the program with: ss -lunp sport = :${port}`,
  });
  const { own: next } = listener();
  await next.listen([{ host: '127.0.0.1', port: freed }]); // so it was let go
});

it.each([
  ['192.0.2.77', 'UDP 192.0.2.77:0 is no address of this machine'],
  ['a..b', 'UDP a..b:0: there is no such name'],
])('does not listen on %s', async (host, message) => {
  const { own } = listener();
  await expect(own.listen([{ host, port: 0 }])).rejects.toMatchObject({ code: 'ERR_LISTEN', message });
});

it('may be closed twice, and before it listens', async () => {
  const { own } = listener();
  own.close();
  await own.listen([{ host: '127.0.0.1', port: 0 }]);
  const { port } = own.addresses[0]!;
  own.close();
  own.close();
  const { own: next } = listener();
  await next.listen([{ host: '127.0.0.1', port }]);
});

const CAN_SHARE = process.platform === 'linux' && hasReusePort(process.versions.node);
const SHARING = `with a shared port${CAN_SHARE ? '' : ' [SKIPPED: needs Linux and Node.js 22.12]'}`;

describe.runIf(CAN_SHARE)(SHARING, () => {
  it.each(['127.0.0.1', '::1'])('spreads senders over several sockets, each of which answers: %s', async host => {
    const { own, heard } = listener({ sharePort: true });
    await own.listen([{ host, port: 0 }]);
    const { port } = own.addresses[0]!;
    const questions = Array.from({ length: 64 }, (_, index) => `question ${index}`);
    expect(await Promise.all(questions.map(question => ask(host, port, question)))).toEqual(questions);
    // That 64 senders share one of four comes once in 4^63 times.
    expect(new Set(heard.map(({ socket }) => socket)).size).toBeGreaterThan(1);
  });

  it('does not listen beside another program, unless it is told to', async () => {
    const { own: other } = listener({ sharePort: true, reusePort: true });
    await other.listen([{ host: '127.0.0.1', port: 0 }]);
    const { own } = listener({ sharePort: true });
    await expect(own.listen(other.addresses)).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringContaining('is taken by another program'),
    });
    const { own: beside } = listener({ sharePort: true, reusePort: true });
    await beside.listen(other.addresses);
    expect(beside.addresses).toEqual(other.addresses);
  });

  it('leaves the port to others when it is closed', async () => {
    const { own } = listener({ sharePort: true });
    await own.listen([{ host: '127.0.0.1', port: 0 }]);
    own.close();
    const { own: next } = listener({ sharePort: true });
    await next.listen(own.addresses);
    const { host, port } = next.addresses[0]!;
    expect(await ask(host, port, 'anybody?')).toBe('anybody?');
  });
});
