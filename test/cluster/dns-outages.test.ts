import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { fetchThrough } from './laptop-curl.ts';
import { startTunnelledCluster, type TunnelledCluster } from './tunnelled-cluster.ts';
import { startDb, startWeb } from './workloads.ts';

const OUTAGE_MS = 5_000;
/** Of curl: the connection was reset before an answer, and while it was read; or the proxy refused. */
const RESET = /ended with (52|56|97)/;

describeCluster('when CoreDNS dies', () => {
  const cluster = suiteResource(() =>
    startTunnelledCluster(unready => Promise.all([startWeb(unready), startDb(unready)])),
  );

  /** Until it is known, to each worker if there are several. */
  async function makeKnown(running: TunnelledCluster, url: string): Promise<void> {
    await Promise.all(Array.from({ length: 20 }, () => fetchThrough(running, url)));
  }

  async function expectFound(running: TunnelledCluster, pod: string): Promise<void> {
    const fetch = () => fetchThrough(running, `http://${pod}.db:${HTTP_PORT}/`).then(String, () => '');
    await expect.poll(fetch, { timeout: 10_000 }).toBe(pod);
  }

  test('killed for 5 s: known names go on, others fail at once and say why, and are found again', async () => {
    const running = await cluster();
    const { dns, startDns, servers } = running;
    await makeKnown(running, 'http://web/');
    dns.signal('SIGKILL');
    const deadline = performance.now() + OUTAGE_MS;
    try {
      await expect(fetchThrough(running, `http://db-0.db:${HTTP_PORT}/`, '--max-time', '12')).rejects.toThrow(RESET);
      expect(servers[0]!.program.output()).toMatch(
        /db-0\.db:8080: the DNS servers failed \(ESERVFAIL\): 10\.96\.0\.10:53/,
      );
      do {
        expect(String(await fetchThrough(running, 'http://web/'))).toMatch(/^web-/);
        await sleep(100);
      } while (performance.now() < deadline);
    } finally {
      await startDns();
    }
    await expectFound(running, 'db-0');
  });

  test('silent: known names go on, others fail within the time-out and say why, and are found again', async () => {
    const running = await cluster();
    const { servers, dns } = running;
    await makeKnown(running, 'http://web.default/');
    dns.signal('SIGSTOP');
    try {
      const late = fetchThrough(running, `http://db-1.db:${HTTP_PORT}/`, '--max-time', '15');
      late.catch(() => {});
      expect(String(await fetchThrough(running, 'http://web.default/'))).toMatch(/^web-/);
      await expect(late).rejects.toThrow(RESET);
      expect(servers[0]!.program.output()).toMatch(/db-1\.db:8080: no DNS server answers/);
    } finally {
      dns.signal('SIGCONT');
    }
    await expectFound(running, 'db-1');
  });
});
