import { expect, test } from 'vitest';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT, type RunningPod } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { fetchThrough, requestFailures } from './laptop-curl.ts';
import { startTunnelledCluster } from './tunnelled-cluster.ts';
import { startDb, startWeb, WEB_SERVICE } from './workloads.ts';

interface Aim {
  readonly host: string;
  readonly count: number;
}

describeCluster('when a pod dies', () => {
  const cluster = suiteResource(async () => {
    const pods: { web: readonly RunningPod[]; db: readonly RunningPod[] } = { web: [], db: [] };
    const started = await startTunnelledCluster(async unready => {
      [pods.web, pods.db] = await Promise.all([startWeb(unready), startDb(unready)]);
    });
    return { ...started, pods };
  });

  /** Freezes a pod amid a run of requests, so that what is in flight on it can be counted, and then kills it. */
  async function killAmidRequests(victim: RunningPod, { host, count }: Aim, before: () => void): Promise<void> {
    const running = await cluster();
    const run = requestFailures(running, { host, count, parallel: 12, delay: 60 });
    run.catch(() => {});
    do {
      victim.signal('SIGCONT');
      await expect.poll(() => victim.connections(HTTP_PORT), { interval: 1, timeout: 10_000 }).toBeGreaterThan(1);
      victim.signal('SIGSTOP');
    } while ((await victim.connections(HTTP_PORT)) === 0);
    before();
    const inFlight = await victim.connections(HTTP_PORT);
    victim.signal('SIGKILL');
    const failures = await run;
    expect(failures.length, `${failures.join('\n')}${running.logs()}`).toBeLessThanOrEqual(inFlight);
  }

  test('of a Service, its process: only requests in flight on it fail', async () => {
    const { pods, proxy } = await cluster();
    const [first, second, victim] = pods.web;
    await killAmidRequests(victim!, { host: 'web', count: 300 }, () =>
      proxy.setEndpoints(
        [WEB_SERVICE],
        [first!, second!].map(({ addresses }) => addresses[0]!),
      ),
    );
  });

  test('of a Service, with all that was on its way: only requests in flight on it fail', async () => {
    const { pods, proxy } = await cluster();
    const [first, victim] = pods.web;
    await killAmidRequests(victim!, { host: 'web', count: 300 }, () => {
      proxy.setEndpoints([WEB_SERVICE], [first!.addresses[0]!]);
      victim!.isolate();
    });
  });

  test('of a headless Service, whose address stays in DNS: only requests in flight on it fail', async () => {
    const { pods } = await cluster();
    const [, victim] = pods.db;
    await killAmidRequests(victim!, { host: `db:${HTTP_PORT}`, count: 60 }, () => victim!.isolate());
    const running = await cluster();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => fetchThrough(running, `http://db:${HTTP_PORT}/`)),
    );
    expect(new Set(answers.map(String))).toEqual(new Set(['db-0', 'db-2']));
  });
});
