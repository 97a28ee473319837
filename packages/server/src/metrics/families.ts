import { Counter, Gauge, type Metric, type Registry } from 'prom-client';

/** One time series of a family, now. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/** How the values of several processes become one. */
export type Merging = 'sum' | 'first' | 'max';

/** Counted elsewhere: `read` is asked whenever somebody looks. */
export function counter(registry: Registry, family: Family, read: () => readonly Sample[]): void {
  new Counter({
    ...optionsOf(registry, family, 'sum'),
    collect() {
      this.reset();
      for (const { labels = {}, value } of read()) this.inc(labels, value);
    },
  });
}

/** As {@link counter}. */
export function gauge(
  registry: Registry,
  family: Family,
  read: () => readonly Sample[],
  merging: Merging = 'sum',
): void {
  new Gauge({
    ...optionsOf(registry, family, merging),
    collect() {
      this.reset();
      for (const { labels = {}, value } of read()) this.set(labels, value);
    },
  });
}

function optionsOf(registry: Registry, { name, help, labels = [] }: Family, aggregator: Merging) {
  return { name, help, labelNames: labels, registers: [registry], aggregator };
}

/** The samples of counts by what the label says. */
export function samplesBy(label: string, counts: Readonly<Partial<Record<string, number>>>): Sample[] {
  return Object.entries(counts).map(([key, value = 0]) => ({ labels: { [label]: key }, value }));
}

/** Durations in buckets that are not cumulative, of which there is one more than bounds. All in milliseconds. */
export interface Buckets {
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly number[];
}

/**
 * A histogram that was counted elsewhere, in seconds. prom-client's own can only be given one observation after the other;
 * but a registry takes whatever has a name and a `get` (its own aggregation relies on that).
 *
 * @param boundsMs upper bounds of the buckets.
 */
export function histogram(
  registry: Registry,
  { name, help }: Pick<Family, 'name' | 'help'>,
  boundsMs: readonly number[],
  read: () => Buckets,
): void {
  const get = async () => {
    const { count, sum, buckets } = read();
    let upTo = 0;
    const cumulative = boundsMs.map((bound, index) => {
      upTo += buckets[index]!;
      return { metricName: `${name}_bucket`, labels: { le: bound / 1000 }, value: upTo };
    });
    const values = [
      ...cumulative,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: sum / 1000 },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  };
  registry.registerMetric({ name, help, get } as unknown as Metric);
}
