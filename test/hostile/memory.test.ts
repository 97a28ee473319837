import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { StreamOpener } from '@podsocks/shared/crypto/stream';
import { describe, expect, it } from 'vitest';
import { serves } from './support/attacks.ts';
import { type Scheme, SIP004, SIP022 } from './support/ends.ts';
import { opened, requestTo } from './support/requests.ts';
import { type ServerProcess, startServerProcess, type Usage } from './support/server-process.ts';
import { openSocket, probe } from './support/sighting.ts';
import { type Digest, Source } from './support/source.ts';
import { startTestEcho, startWitness } from './support/witness.ts';

/* What a peer sends, or does not read, must not pile up in the server: the peer's own kernel has to keep it. */

const MIB = 1024 * 1024;

/** What may be held for anything here; everything here sends or withholds a multiple of it. */
const GROWTH_BYTES = 8 * MIB;

// A fresh server for each try: what it holds resident at rest differs by a megabyte from start to start.
describe.each([SIP004, SIP022])('the memory of ss-server, $name,', { retry: 2 }, scheme => {
  it('does not grow with 300 connections that send 1 MiB of garbage each', async () => {
    const victim = await warmServer(scheme);
    const before = await victim.usage();
    const garbage = randomBytes(MIB);
    const flood = Promise.all(Array.from({ length: 300 }, () => probe(victim.port, garbage, { fin: true })));
    const highestRss = await highestRssUntil(victim, flood);
    expect(highestRss - before.rss, 'growth in bytes').toBeLessThan(GROWTH_BYTES);
    for (const { bytes, end } of await flood) expect({ bytes: bytes.length, end }).toEqual({ bytes: 0, end: 'fin' });
    await expectNoGrowth(victim, before);
  });

  it('does not grow with 300 connections that stop in the middle of a request', async () => {
    const victim = await warmServer(scheme);
    const before = await victim.usage();
    const held = Array.from({ length: 300 }, () => {
      const flight = requestTo(scheme.method, victim.keys.client, 9).seal(randomBytes(10_000));
      const socket = openSocket(victim.port);
      socket.write(flight.subarray(0, -1));
      return socket;
    });
    const { port } = await startTestEcho();
    expect(await serves(victim, port)).toBe(true); // it came last, so the others have been read
    await expectNoGrowth(victim, before);
    for (const socket of held) socket.destroy();
  });
});

describe.each([SIP004, SIP022])('a client that does not read, $name,', scheme => {
  it('stops its target, costs no memory, and gets everything when it reads on', async () => {
    const victim = await warmServer(scheme);
    const before = await victim.usage();
    const readers = await Promise.all(
      ['one', 'two', 'three'].map(async seed => {
        const witness = await startWitness();
        const request = requestTo(scheme.method, victim.keys.client, witness.port);
        const client = openSocket(victim.port);
        client.pause();
        client.write(request.seal('send without end'));
        return { client, opener: request.opener(), source: new Source(await witness.next(), seed) };
      }),
    );
    await Promise.all(readers.map(({ source }) => source.stalled()));
    await expectNoGrowth(victim, before);

    for (const { client, opener, source } of readers) {
      const received = digestOf(client, opener);
      expect(await source.end()).toEqual(await received);
    }
  });
});

describe.each([SIP004, SIP022])('a target that does not read, $name,', scheme => {
  it('stops its client, costs no memory, and gets everything when it reads on', async () => {
    const victim = await warmServer(scheme);
    const before = await victim.usage();
    const witness = await startWitness(target => target.pause());
    const request = requestTo(scheme.method, victim.keys.client, witness.port);
    const client = openSocket(victim.port);
    client.write(request.seal(''));
    const target = await witness.next();
    const source = new Source(client, 'client', bytes => request.seal(bytes));
    await source.stalled();
    await expectNoGrowth(victim, before);
    const received = digestOf(target);
    expect(await source.end()).toEqual(await received);
  });
});

/** Reads to the end. */
async function digestOf(socket: Socket, opener?: StreamOpener): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of socket) {
    const plain = opener ? opened(opener, part) : part;
    hash.update(plain);
    bytes += plain.length;
  }
  opener?.end();
  return { bytes, sha256: hash.digest('hex') };
}

/** One that has done everything once, so that what it does again finds buffers and compiled code. */
async function warmServer(scheme: Scheme): Promise<ServerProcess> {
  const victim = await startServerProcess(scheme, {});
  const { port } = await startTestEcho();
  const { method } = scheme;
  await probe(victim.port, requestTo(method, victim.keys.client, port).seal(randomBytes(16 * MIB)), { fin: true });
  for (let turn = 0; turn < 20; turn++) {
    await serves(victim, port);
    await probe(victim.port, randomBytes(100_000), { fin: true });
  }
  return victim;
}

async function highestRssUntil(victim: ServerProcess, end: Promise<unknown>): Promise<number> {
  let running = true;
  const stop = () => {
    running = false;
  };
  end.then(stop, stop);
  let highest = 0;
  while (running) highest = Math.max(highest, (await victim.usage()).rss);
  return highest;
}

/** What is held stays held; what is not may take the collector some turns. */
async function expectNoGrowth(victim: ServerProcess, before: Usage): Promise<void> {
  const grown = async () => {
    const after = await victim.usage();
    return Math.max(after.rss - before.rss, after.arrayBuffers - before.arrayBuffers);
  };
  await expect.poll(grown, { timeout: 5_000, message: 'growth in bytes' }).toBeLessThan(GROWTH_BYTES);
}
