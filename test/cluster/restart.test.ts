import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { type Cluster, FILE_SHA256, NODE_PORT_SERVICE, type RunningPod, SERVER_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { fetchThrough, requestFailures } from './laptop-curl.ts';
import { startReplica, startTunnelledCluster, type TunnelledCluster } from './tunnelled-cluster.ts';
import { startWeb } from './workloads.ts';

const DOWNLOADS = 16;
const UPLOADS = 8;
/** How long they take, in milliseconds: shorter than the drain time, longer than a restart. */
const TRANSFER_MS = 6_000;
const UPLOAD = new PseudoRandom('upload').take(4 * 1024 * 1024);
const WAIT = { timeout: 10_000 };
/** Within the drain time of 25 s. */
const END_LIMIT = { timeout: 24_000 };

describeCluster('when ss-server is replaced, of which there are two behind the node port', () => {
  test('as Kubernetes does it: no connection is cut, and no new one fails', async () => {
    await withCluster(async cluster => {
      const { servers } = cluster;
      const transfers = startTransfers(cluster);
      await untilShared(servers, DOWNLOADS + UPLOADS);
      const requests = requestFailures(cluster, { host: 'web', count: 300, parallel: 4, delay: 20 });
      let [behind, next]: [RunningPod[], number] = [[...servers], servers.length];
      for (const old of servers) {
        const replacement = await startReplica(cluster, next++);
        behind = [...behind.filter(pod => pod !== old), replacement];
        route(cluster, behind);
        expect(await old.connections(SERVER_PORT)).toBeGreaterThan(0);
        old.terminate();
      }
      expect(await requests).toEqual([]);
      await expectWhole(transfers);
      for (const old of servers) await expectEnded(old);
    });
  });

  test('its end and the change of the rules at once: no connection is cut, and none fails afterwards', async () => {
    await withCluster(async cluster => {
      const [old, other] = cluster.servers;
      const transfers = startTransfers(cluster);
      await untilShared(cluster.servers, DOWNLOADS + UPLOADS);
      expect(await old!.connections(SERVER_PORT)).toBeGreaterThan(0);
      old!.terminate();
      route(cluster, [other!]);
      expect(await requestFailures(cluster, { host: 'web', count: 100, parallel: 4, delay: 20 })).toEqual([]);
      await expectWhole(transfers);
      await expectEnded(old!);
    });
  });
});

async function withCluster(use: (cluster: TunnelledCluster) => Promise<void>): Promise<void> {
  const cluster = await startTunnelledCluster(startWeb, { replicas: 2 });
  try {
    await use(cluster);
  } catch (error) {
    (error as Error).message += cluster.logs();
    throw error;
  } finally {
    await cluster.close();
  }
}

function route({ proxy }: Cluster, pods: readonly RunningPod[]): void {
  proxy.setEndpoints(
    NODE_PORT_SERVICE,
    pods.map(({ addresses }) => addresses[0]!),
  );
}

interface Transfers {
  readonly downloads: Promise<Buffer[]>;
  readonly uploads: Promise<Buffer[]>;
}

function startTransfers(cluster: Cluster): Transfers {
  const upload = cluster.path('upload');
  const rate = ['--limit-rate', `${Math.ceil((UPLOAD.length * 1000) / TRANSFER_MS)}`];
  const many = (count: number, start: () => Promise<Buffer>) => Promise.all(Array.from({ length: count }, start));
  const transfers = {
    downloads: many(DOWNLOADS, () => fetchThrough(cluster, `http://web/file?within=${TRANSFER_MS}`)),
    uploads: writeFile(upload, UPLOAD).then(() =>
      many(UPLOADS, () => fetchThrough(cluster, 'http://web/', ...rate, '--upload-file', upload)),
    ),
  };
  // Awaited later, when something else may have failed already.
  for (const transfer of Object.values(transfers)) transfer.catch(() => {});
  return transfers;
}

/** Until so many connections are there, and each server has some. */
async function untilShared(servers: readonly RunningPod[], count: number): Promise<void> {
  const numbers = () => Promise.all(servers.map(server => server.connections(SERVER_PORT)));
  await expect
    .poll(async () => (await numbers()).reduce((sum, number) => sum + number, 0), WAIT)
    .toBeGreaterThanOrEqual(count);
  expect(Math.min(...(await numbers()))).toBeGreaterThan(0);
}

async function expectWhole({ downloads, uploads }: Transfers): Promise<void> {
  expect((await downloads).map(sha256)).toEqual(Array(DOWNLOADS).fill(FILE_SHA256));
  expect((await uploads).map(String)).toEqual(Array(UPLOADS).fill(sha256(UPLOAD)));
}

/** As it wants to, within its drain time. */
async function expectEnded(server: RunningPod): Promise<void> {
  await expect.poll(server.processes, END_LIMIT).toBe(0);
  await expect.poll(server.program.output, WAIT).toContain('[ended: exit code 0]');
}
