/**
 * One stream through a client and a server on loopback: rate, and processor seconds per GB of each process. podsocks under
 * each of its crypto backends, and shadowsocks-libev where it is installed, by turns.
 *
 *   npm run bench:throughput
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { nativeAbsence } from '@podsocks/shared/crypto/aead-native';
import { connectThrough, freePort, listen, listening, type Pair, sending, startPair } from './programs.ts';

const BYTES = 2 ** 30;
const ROUNDS = 5;
/** Of /proc/PID/stat: USER_HZ is 100 on every Linux. */
const TICKS_PER_SECOND = 100;

interface Contestant {
  readonly name: string;
  readonly start: () => Promise<Pair>;
}

const key = randomBytes(32).toString('base64');
const podsocks = (method: string, backend: string): Contestant => ({
  name: `podsocks, ${method}, ${backend}`,
  start: () => startPair(method, key, ['--crypto-backend', backend]),
});

async function startLibev(folder: string): Promise<Pair> {
  const [serverPort, socksPort] = [await freePort(), await freePort()];
  const common = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-m', 'aes-256-gcm', '-k', key];
  const server = spawn(`${folder}/ss-server`, common, { stdio: 'ignore' });
  const client = spawn(`${folder}/ss-local`, [...common, '-l', `${socksPort}`], { stdio: 'ignore' });
  await Promise.all([listening(serverPort), listening(socksPort)]);
  return {
    serverPid: server.pid!,
    clientPid: client.pid!,
    socksPort,
    close() {
      server.kill('SIGKILL');
      client.kill('SIGKILL');
    },
  };
}

/** npm puts this project's own ss-local before it. */
const libevFolder = process.env
  .PATH!.split(':')
  .find(
    folder => !folder.includes('node_modules') && existsSync(`${folder}/ss-local`) && existsSync(`${folder}/ss-server`),
  );

function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** [Gbit/s, server s/GB, client s/GB] of one download. */
async function measure(pair: Pair, port: number): Promise<number[]> {
  const pids = [pair.serverPid, pair.clientPid];
  const before = pids.map(processorSeconds);
  const begun = performance.now();
  const socket = await connectThrough(pair.socksPort, port);
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  socket.resume();
  await once(socket, 'close');
  if (received !== BYTES) throw new Error(`received ${received} of ${BYTES} bytes`);
  const seconds = (performance.now() - begun) / 1000;
  return [
    (BYTES * 8) / 1e9 / seconds,
    ...pids.map((pid, index) => (processorSeconds(pid) - before[index]!) / (BYTES / 1e9)),
  ];
}

const contestants: Contestant[] = [
  ...(nativeAbsence() === undefined
    ? [podsocks('2022-blake3-aes-256-gcm', 'native'), podsocks('aes-256-gcm', 'native')]
    : []),
  podsocks('2022-blake3-aes-256-gcm', 'node'),
  podsocks('aes-256-gcm', 'node'),
  ...(libevFolder ? [{ name: 'shadowsocks-libev, aes-256-gcm', start: () => startLibev(libevFolder) }] : []),
];

const source = await listen(sending(BYTES));
const { port } = source.address() as AddressInfo;
const results = contestants.map(() => [] as number[][]);
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, { start }] of contestants.entries()) {
    const pair = await start();
    try {
      await measure(pair, port); // compiled code and warm buffers
      results[index]!.push(await measure(pair, port));
    } finally {
      pair.close();
    }
  }
}
source.close();

console.log(`Node ${process.version}; medians of ${ROUNDS} (least … most)`);
if (nativeAbsence() !== undefined) console.log(`no native addon: ${nativeAbsence()}`);
const column = (runs: number[][], at: number) => {
  const sorted = runs.map(run => run[at]!).sort((a, b) => a - b);
  return `${sorted[Math.floor(ROUNDS / 2)]!.toFixed(2)} (${sorted[0]!.toFixed(2)} … ${sorted.at(-1)!.toFixed(2)})`;
};
console.log(`${''.padEnd(42)}${'Gbit/s'.padEnd(22)}${'server s/GB'.padEnd(22)}client s/GB`);
for (const [index, { name }] of contestants.entries()) {
  const cells = [0, 1, 2].map(at => column(results[index]!, at).padEnd(22));
  console.log(name.padEnd(42) + cells.join('').trimEnd());
}
