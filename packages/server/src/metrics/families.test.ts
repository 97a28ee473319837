import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Durations } from './durations.ts';
import { counter, gauge, histogram, samplesBy } from './families.ts';

it('a family is read anew for each page', async () => {
  const registry = new Registry();
  const counts: Record<string, number> = { a: 1, b: 0 };
  counter(registry, { name: 'some_total', help: 'Some.', labels: ['by'] }, () => samplesBy('by', counts));
  gauge(registry, { name: 'now', help: 'Now.' }, () => [{ value: counts.a! }]);
  expect(await registry.metrics()).toContain('some_total{by="a"} 1\nsome_total{by="b"} 0\n');
  counts.a = 3;
  const page = await registry.metrics();
  expect(page).toContain('some_total{by="a"} 3\n');
  expect(page).toContain('now 3\n');
});

it('a histogram has cumulative buckets, in seconds', async () => {
  const registry = new Registry();
  const durations = new Durations();
  for (const ms of [1, 1.5, 2, 700, 60_000]) durations.took(ms);
  histogram(registry, { name: 'took_seconds', help: 'Took.' }, [1, 2, 500, 1000], () => ({
    ...durations,
    buckets: [1, 2, 0, 1, 1],
  }));
  expect(await registry.metrics()).toBe(`# HELP took_seconds Took.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.001"} 1
took_seconds_bucket{le="0.002"} 3
took_seconds_bucket{le="0.5"} 3
took_seconds_bucket{le="1"} 4
took_seconds_bucket{le="+Inf"} 5
took_seconds_sum 60.7045
took_seconds_count 5
`);
});

it('durations fall into the bucket whose bound they do not exceed', () => {
  const durations = new Durations();
  for (const ms of [0, 1, 1.1, 10_000, 10_001]) durations.took(ms);
  expect(durations.buckets).toEqual([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
});
