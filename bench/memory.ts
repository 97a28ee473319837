/**
 * What connections cost in memory, measured from outside (VmRSS of each process, so Linux only):
 * idle relayed connections, and a transfer whose reader stops.
 *
 *   npm run bench:memory
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectThrough, listen, type Pair, read, residentBytes, sending, startPair } from './programs.ts';

const METHOD = '2022-blake3-aes-256-gcm';
const CONNECTIONS = 2000;
const AT_ONCE = 100;
const TRANSFER_BYTES = 2 ** 30;
const PAUSE_MS = 10_000;
/** V8's young generation grows with the rush and is given back only after half a minute of rest. */
const SETTLED_AFTER_S = [5, 60];
const WARM_UP_TRANSFERS = 2;
/** Sampled at this pace, so that a short peak is seen too. */
const SAMPLE_MS = 20;

const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function idleConnections(pair: Pair): Promise<void> {
  const echo = await listen(socket => socket.pipe(socket));
  const { port } = echo.address() as AddressInfo;
  const sockets: Socket[] = [];
  const open = async (count: number) => {
    for (let opened = 0; opened < count; opened += AT_ONCE) {
      const batch = await Promise.all(
        Array.from({ length: Math.min(AT_ONCE, count - opened) }, async () => {
          const socket = await connectThrough(pair.socksPort, port);
          socket.write('x');
          await read(socket, 1);
          return socket;
        }),
      );
      sockets.push(...batch);
    }
  };

  // Code and heap that any first connections bring in are not the price of a connection.
  await open(AT_ONCE);
  await sleep(2000);
  const before = { server: residentBytes(pair.serverPid), client: residentBytes(pair.clientPid) };
  await open(CONNECTIONS);
  console.log(`${CONNECTIONS} idle connections, each after an exchange of one byte:`);
  let waited = 0;
  for (const seconds of SETTLED_AFTER_S) {
    await sleep((seconds - waited) * 1000);
    waited = seconds;
    const each = (pid: number, baseline: number) => kilobytes((residentBytes(pid) - baseline) / CONNECTIONS);
    const [server, client] = [each(pair.serverPid, before.server), each(pair.clientPid, before.client)];
    console.log(`  after ${`${seconds}`.padStart(2)} s   ss-server: ${server} each   ss-local: ${client} each`);
  }
  for (const socket of sockets) socket.destroy();
  echo.close();
}

/** A target that sends 1 GiB to a reader that reads half of it, stops for 10 s, and reads the rest. */
async function stoppedReader(pair: Pair): Promise<void> {
  const source = await listen(sending(TRANSFER_BYTES));
  const { port } = source.address() as AddressInfo;

  const transfer = async (stop: boolean) => {
    const socket = await connectThrough(pair.socksPort, port);
    let received = 0;
    let stopped = !stop;
    socket.on('data', async (bytes: Buffer) => {
      received += bytes.length;
      if (stopped || received < TRANSFER_BYTES / 2) return;
      stopped = true;
      socket.pause();
      await sleep(PAUSE_MS);
      socket.resume();
    });
    socket.resume();
    await once(socket, 'end');
    socket.destroy();
    if (received !== TRANSFER_BYTES) throw new Error(`received ${received} of ${TRANSFER_BYTES} bytes`);
  };

  // The same without a stop first: buffers that any transfer needs are not the price of stopping.
  for (let count = 0; count < WARM_UP_TRANSFERS; count++) await transfer(false);
  const pids = [pair.serverPid, pair.clientPid];
  const before = pids.map(residentBytes);
  const peak = [...before];
  const sampler = setInterval(() => {
    for (const [index, pid] of pids.entries()) peak[index] = Math.max(peak[index]!, residentBytes(pid));
  }, SAMPLE_MS);
  await transfer(true);
  clearInterval(sampler);
  console.log(`1 GiB to a reader that stops for ${PAUSE_MS / 1000} s half way: growth at the peak`);
  console.log(`  ss-server: ${megabytes(peak[0]! - before[0]!)}, ss-local: ${megabytes(peak[1]! - before[1]!)}`);
  source.close();
}

console.log(`Node ${process.version}, ${METHOD}`);
for (const measure of [idleConnections, stoppedReader]) {
  const pair = await startPair(METHOD, randomBytes(32).toString('base64'));
  try {
    await measure(pair);
  } finally {
    pair.close();
  }
}
