/**
 * What reading from a TCP socket costs this process, by how it is read: 'data' events, or `onread` into one buffer.
 *
 *   npm run bench:read-path
 */
import { once } from 'node:events';
import { connect, type NetConnectOpts } from 'node:net';
import { cleanUpAtExit } from './children.ts';
import { encodeCount } from './load/commands.ts';
import { Target } from './load/load.ts';
import { LOOPBACK } from './ports.ts';
import { formatSummary } from './report/figures.ts';
import { summarize } from './statistics/summary.ts';

const BYTES = 4e9;
const ROUNDS = 5;
const KIB = 1024;

const WAYS: readonly { name: string; options: Partial<NetConnectOpts> }[] = [
  { name: "'data' events", options: {} },
  ...[64, 255, 1024].map(size => ({
    name: `onread, ${size} KiB`,
    options: { onread: { buffer: new Uint8Array(size * KIB), callback: () => true } },
  })),
];

async function secondsPerGigabyte(port: number, options: Partial<NetConnectOpts>): Promise<number> {
  const before = process.cpuUsage();
  const socket = connect({ port, host: LOOPBACK, ...options } as NetConnectOpts);
  if (!('onread' in options)) socket.on('data', () => {});
  socket.write(encodeCount(BYTES));
  await once(socket, 'close');
  const { user, system } = process.cpuUsage(before);
  if (socket.bytesRead !== BYTES) throw new Error(`received ${socket.bytesRead} of ${BYTES} bytes`);
  return (user + system) / 1e6 / (BYTES / 1e9);
}

cleanUpAtExit();
// The source is a process of its own, so that its work is not counted.
const target = await Target.start();
const results = WAYS.map(({ name }) => ({ name, seconds: [] as number[] }));
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, { options }] of WAYS.entries()) {
    results[index]!.seconds.push(await secondsPerGigabyte(target.ports.source, options));
  }
}
await target.child.stop();
console.log(`Node ${process.version}; processor seconds per GB read, median of ${ROUNDS} (least … most)`);
for (const { name, seconds } of results) console.log(`  ${name.padEnd(16)} ${formatSummary(summarize(seconds), 2)}`);
