/**
 * What a transfer costs in memory whose reader stops for a while, measured from outside (VmRSS of each process, Linux only).
 *
 *   npm run bench:stopped-reader
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUpAtExit, removeAtExit } from './children.ts';
import { type EndChoice, labelOf } from './contestants.ts';
import { findImplementation, type Programs } from './implementations.ts';
import { encodeCount } from './load/commands.ts';
import { Target } from './load/load.ts';
import { Stream } from './load/stream.ts';
import { Pair } from './pair.ts';
import { pinningHere } from './pinning.ts';
import { residentBytes } from './process-usage.ts';

const TRANSFER_BYTES = 2 ** 30;
const PAUSE_MS = 10_000;
const WARM_UP_TRANSFERS = 2;
/** Sampled at this pace, so that a short peak is seen too. */
const SAMPLE_MS = 20;

const BOTH: EndChoice = { implementation: 'podsocks' };
const CONTESTANT = { method: '2022-blake3-aes-256-gcm', name: 'podsocks', server: BOTH, client: BOTH };

/** Downloads through the pair; a reader that stops does so once, half way. */
async function transfer(socksPort: number, port: number, stop: boolean): Promise<void> {
  const stream = await Stream.open({ socksPort, port });
  stream.socket.write(encodeCount(TRANSFER_BYTES));
  let received = 0;
  let stopped = !stop;
  await stream.receiveUntil(bytes => {
    received += bytes.length;
    if (!stopped && received >= TRANSFER_BYTES / 2) {
      stopped = true;
      stream.socket.pause();
      setTimeout(() => stream.socket.resume(), PAUSE_MS);
    }
    return received >= TRANSFER_BYTES;
  });
  await stream.end();
  if (received !== TRANSFER_BYTES) throw new Error(`received ${received} of ${TRANSFER_BYTES} bytes`);
}

cleanUpAtExit();
const directory = mkdtempSync(join(tmpdir(), 'podsocks-bench-'));
removeAtExit(directory);
const { programs } = findImplementation('podsocks') as { programs: Programs };
const place = { programs: new Map([['podsocks', programs] as const]), pinning: pinningHere(), directory };
const target = await Target.start();
const pair = await Pair.start(CONTESTANT, place);
const { source } = target.ports;

// The same without a stop first: buffers that any transfer needs are not the price of stopping.
for (let count = 0; count < WARM_UP_TRANSFERS; count++) await transfer(pair.socksPort, source, false);
await sleep(1000);
const pids = [pair.server.pid, pair.client.pid];
const before = pids.map(residentBytes);
const peak = [...before];
const sampler = setInterval(() => {
  for (const [index, pid] of pids.entries()) peak[index] = Math.max(peak[index]!, residentBytes(pid));
}, SAMPLE_MS);
await Promise.race([transfer(pair.socksPort, source, true), pair.failure()]);
clearInterval(sampler);

const [server, client] = pids.map((_, index) => `${((peak[index]! - before[index]!) / 1e6).toFixed(1)} MB`);
console.log(`Node ${process.version}, ${labelOf(CONTESTANT)}`);
console.log(`1 GiB to a reader that stops for ${PAUSE_MS / 1000} s half way: growth at the peak`);
console.log(`  ss-server: ${server}, ss-local: ${client}`);
await Promise.all([pair.stop(), target.child.stop()]);
