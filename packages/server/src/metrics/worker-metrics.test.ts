import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { counter, gauge, histogram } from './families.ts';
import { type Measurable, WorkerMetrics } from './worker-metrics.ts';

/** Long enough for those that answer, which they do in the same turn of the event loop or soon after. */
const PATIENCE_MS = 100;

/** A worker with a counter, a gauge and a histogram. */
class FakeWorker implements Measurable {
  count = 0;
  answers = true;
  readonly registry = new Registry();
  readonly #metrics: WorkerMetrics;

  constructor(metrics: WorkerMetrics) {
    this.#metrics = metrics;
    counter(this.registry, { name: 'did_total', help: '.', labels: ['user'] }, () => [
      { labels: { user: 'ada' }, value: this.count },
    ]);
    gauge(this.registry, { name: 'has', help: '.' }, () => [{ value: this.count }]);
    gauge(this.registry, { name: 'nodejs_eventloop_lag_p99_seconds', help: '.' }, () => [{ value: this.count / 10 }]);
    gauge(
      this.registry,
      { name: 'info', help: '.', labels: ['is'] },
      () => [{ labels: { is: 'x' }, value: 1 }],
      'first',
    );
    histogram(this.registry, { name: 'took_seconds', help: '.' }, [1000], () => ({
      count: this.count,
      sum: 1000 * this.count,
      buckets: [this.count, 0],
    }));
  }

  measure(): void {
    if (this.answers) void this.tell();
  }

  async tell(): Promise<void> {
    // As it comes through IPC.
    this.#metrics.told(this, structuredClone(await this.registry.getMetricsAsJSON()));
  }
}

function start(counts: readonly number[]) {
  const metrics = new WorkerMetrics({ own: new Registry(), patience: PATIENCE_MS });
  const workers = counts.map(count => {
    const worker = new FakeWorker(metrics);
    worker.count = count;
    metrics.add(worker);
    return worker;
  });
  return { metrics, workers };
}

const lines = async (metrics: WorkerMetrics) =>
  (await metrics.page()).split('\n').filter(line => line !== '' && !line.startsWith('#'));

describe('the metrics of workers', () => {
  it('are one page: sums, but the worst event loop and one description', async () => {
    const { metrics } = start([1, 3]);
    expect(await lines(metrics)).toEqual([
      'did_total{user="ada"} 4',
      'has 4',
      'nodejs_eventloop_lag_p99_seconds 0.3',
      'info{is="x"} 1',
      'took_seconds_bucket{le="1"} 4',
      'took_seconds_bucket{le="+Inf"} 4',
      'took_seconds_sum 4',
      'took_seconds_count 4',
      'podsocks_worker_scrape_failures_total 0',
    ]);
  });

  it('leave one out that does not answer, except for what must not go down', async () => {
    const { metrics, workers } = start([1, 3]);
    await metrics.page();
    workers[1]!.answers = false;
    workers[1]!.count = 5;
    const page = await lines(metrics);
    expect(page).toContain('did_total{user="ada"} 4');
    expect(page).toContain('has 1');
    expect(page).toContain('took_seconds_count 4');
    expect(page).toContain('podsocks_worker_scrape_failures_total 1');
    // Late, it still counts.
    await workers[1]!.tell();
    expect(await lines(metrics)).toContain('did_total{user="ada"} 6');
    workers[1]!.answers = true;
    const healed = await lines(metrics);
    expect(healed).toContain('has 6');
    expect(healed).toContain('podsocks_worker_scrape_failures_total 2');
  });

  it('keep the counters of those that have ended, however many', async () => {
    const { metrics, workers } = start([1, 3]);
    await metrics.page();
    await metrics.remove(workers[1]!);
    expect(await lines(metrics)).toContain('did_total{user="ada"} 4');
    for (let count = 0; count < 20; count++) {
      const next = new FakeWorker(metrics);
      next.count = 1;
      metrics.add(next);
      await metrics.page();
      // Not waited for: they may end in one moment.
      void metrics.remove(next);
    }
    const page = await lines(metrics);
    expect(page).toContain('did_total{user="ada"} 24');
    expect(page).toContain('has 1');
    expect(page).toContain('took_seconds_bucket{le="1"} 24');
  });

  it('keep those of two that end in one moment', async () => {
    const { metrics, workers } = start([1, 3, 5]);
    await metrics.page();
    await Promise.all(workers.slice(1).map(worker => metrics.remove(worker)));
    expect(await lines(metrics)).toContain('did_total{user="ada"} 9');
  });

  it('do not wait for one that ends, and count it once', async () => {
    const { metrics, workers } = start([1, 3]);
    await metrics.page();
    workers[1]!.answers = false;
    const page = lines(metrics);
    void metrics.remove(workers[1]!);
    expect(await page).toContain('did_total{user="ada"} 4');
    expect(await page).toContain('podsocks_worker_scrape_failures_total 0');
    await workers[1]!.tell();
    expect(await lines(metrics)).toContain('did_total{user="ada"} 4');
  });

  it('are those of the primary where there is no worker', async () => {
    const { metrics } = start([]);
    expect(await lines(metrics)).toEqual(['podsocks_worker_scrape_failures_total 0']);
  });
});
