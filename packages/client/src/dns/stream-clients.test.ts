import { createSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { framed } from '@podsocks/shared/dns/message-frames';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { askUdp, connectTcp, queryBytes, read, startLab } from './dns-fixtures.ts';
import { StreamClients } from './stream-clients.ts';

const names = Array.from({ length: 40 }, (_, i) => `n${i}.example`);
const systemSays = zone(Object.fromEntries(names.map((name, i) => [name, [`192.0.2.${i}`]])));

describe('a client by TCP', () => {
  it('may ask many things at once, and end before the answers', async () => {
    const { at } = await startLab({ systemSays });
    const tcp = await connectTcp(at);
    tcp.send(...names.map((name, id) => queryBytes(name, { id })));
    tcp.socket.end();
    const ids: (number | undefined)[] = [];
    for (let answer = await tcp.next(); answer; answer = await tcp.next()) ids.push(read(answer).id);
    expect(ids.sort((x, y) => x! - y!)).toEqual(names.map((_, i) => i));
  });

  it('is answered in any order', async () => {
    const { at, system } = await startLab();
    let hold = true;
    system.script = query => (hold && query.name === names[0] ? undefined : systemSays(query));
    const tcp = await connectTcp(at);
    tcp.send(queryBytes(names[0]!, { id: 0 }), queryBytes(names[1]!, { id: 1 }));
    expect(read((await tcp.next())!).id).toBe(1);
    hold = false;
    expect(read((await tcp.next())!).id).toBe(0);
  });

  it('may cut what it says as it likes', async () => {
    const { at } = await startLab({ systemSays });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }), async cuts => {
        const tcp = await connectTcp(at);
        tcp.socket.setNoDelay(true);
        const bytes = Buffer.concat(names.slice(0, 3).map((name, id) => framed(queryBytes(name, { id }))));
        let from = 0;
        for (const cut of [...cuts, bytes.length]) {
          await new Promise(resolve => tcp.socket.write(bytes.subarray(from, from + cut), resolve));
          from = Math.min(from + cut, bytes.length);
        }
        const ids = [];
        for (let i = 0; i < 3; i++) ids.push(read((await tcp.next())!).id);
        expect(ids.sort()).toEqual([0, 1, 2]);
        tcp.socket.destroy();
      }),
      { numRuns: 30 },
    );
  });

  it('that says garbage hurts nobody', async () => {
    const { at, dns } = await startLab({ systemSays });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.boolean(), async (garbage, isFramed) => {
        const tcp = await connectTcp(at);
        tcp.socket.end(isFramed ? framed(garbage) : garbage);
        while (await tcp.next());
      }),
      { numRuns: 100 },
    );
    expect(read(await askUdp(at, queryBytes(names[0]!))).rcode).toBe('NOERROR');
    await expect.poll(() => dns.load).toMatchObject({ connections: 0, waiting: 0 });
  });

  it('that announces more than a query can have is closed', async () => {
    const { at } = await startLab();
    const tcp = await connectTcp(at);
    tcp.socket.write(Buffer.of(0x10, 0x01));
    expect(await tcp.next()).toBeUndefined();
  });

  it('that does not read its answers gets no more of them than it may have queries', async () => {
    let answered = 0;
    const clients = new StreamClients({
      respond: async message => {
        answered++;
        return message;
      },
    });
    const { socket, taken } = fakeSocket();
    clients.accept(socket);
    for (let i = 0; i < 100; i++) socket.push(framed(queryBytes('web')));
    await expect.poll(() => taken.length).toBeGreaterThan(0);
    expect(answered).toBe(32);
    expect(socket.isPaused()).toBe(true);
    while (answered < 100) {
      taken.shift()!();
      await new Promise(resolve => setImmediate(resolve));
    }
    socket.destroy();
    await expect.poll(() => clients.size).toBe(0);
  });

  it('is closed after ten seconds without a query or an answer taken, bytes or not', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const clients = new StreamClients({ respond: async message => message });
    const { socket, taken } = fakeSocket();
    clients.accept(socket);
    const query = framed(queryBytes('web'));
    await vi.advanceTimersByTimeAsync(9_000);
    socket.push(query);
    await vi.advanceTimersByTimeAsync(9_000);
    taken.shift()!();
    await vi.advanceTimersByTimeAsync(9_000);
    expect(socket.destroyed).toBe(false);
    socket.push(query.subarray(0, 3));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(socket.destroyed).toBe(true);
    expect(clients.size).toBe(0);
  });

  it('makes room for others when there are many', async () => {
    const { at, dns } = await startLab({ systemSays });
    const first = await connectTcp(at);
    const second = await connectTcp(at);
    const others = await Promise.all(Array.from({ length: 126 }, () => connectTcp(at)));
    await expect.poll(() => dns.load.connections).toBe(128);
    first.send(queryBytes(names[0]!)); // it is the second now that was silent for longest
    await first.next();
    const last = await connectTcp(at);
    expect(await second.next()).toBeUndefined();
    last.send(queryBytes(names[0]!));
    expect(await last.next()).toBeDefined();
    expect(dns.load.connections).toBe(128);
    expect(others.every(({ socket }) => !socket.destroyed)).toBe(true);
  });
});

it('datagrams of garbage hurt nobody', async () => {
  const { at } = await startLab({ systemSays });
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async garbage => {
      const query = queryBytes(names[0]!, { id: 0x7777 });
      socket.send(garbage, at.port, at.host);
      expect(read(await askUdp(at, query)).id).toBe(0x7777);
    }),
    { numRuns: 100 },
  );
});

/** A socket whose peer takes what is written when the test says so. */
function fakeSocket() {
  const taken: (() => void)[] = [];
  const socket = new Duplex({
    allowHalfOpen: true,
    highWaterMark: 1024 * 1024,
    read: () => {},
    write: (_chunk, _encoding, done) => void taken.push(() => done()),
  });
  return { socket: socket as Socket, taken };
}
