/**
 * What reading from a TCP socket costs this process, by how it is read: 'data' events, or `onread` into one buffer.
 *
 *   npm run bench:read-path
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, type NetConnectOpts } from 'node:net';
import { fileURLToPath } from 'node:url';
import { listen, sending } from './programs.ts';

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

/** The source, in a process of its own, so that its work is not counted. */
async function serve(): Promise<void> {
  const server = await listen(sending(BYTES));
  process.send!((server.address() as AddressInfo).port);
  await once(process, 'disconnect');
  server.close();
}

async function secondsPerGigabyte(port: number, options: Partial<NetConnectOpts>): Promise<number> {
  const before = process.cpuUsage();
  const socket = connect({ port, host: '127.0.0.1', ...options } as NetConnectOpts);
  if (!('onread' in options)) socket.on('data', () => {});
  await once(socket, 'close');
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / (socket.bytesRead / 1e9);
}

if (process.send) {
  await serve();
} else {
  const source = fork(fileURLToPath(import.meta.url));
  const [port] = (await once(source, 'message')) as [number];
  const results = WAYS.map(({ name }) => ({ name, seconds: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { options }] of WAYS.entries()) {
      results[index]!.seconds.push(await secondsPerGigabyte(port, options));
    }
  }
  source.disconnect();
  console.log(`Node ${process.version}; processor seconds per GB read, median of ${ROUNDS} (least … most)`);
  for (const { name, seconds } of results) {
    const sorted = seconds.sort((a, b) => a - b).map(value => value.toFixed(2));
    console.log(`  ${name.padEnd(16)} ${sorted[Math.floor(ROUNDS / 2)]} (${sorted[0]} … ${sorted.at(-1)})`);
  }
}
