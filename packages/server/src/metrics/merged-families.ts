import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

/** A metric with its values, as a registry tells them (`getMetricsAsJSON`) and as they pass from process to process. */
export type ToldFamily = MetricObjectWithValues<MetricValue<string>>;

/** Where prom-client's own choice would hide something: of several event loops the slowest counts, of processes the oldest. */
const MERGING: Readonly<Record<string, string>> = {
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_mean_seconds: 'max',
  nodejs_eventloop_lag_stddev_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  process_start_time_seconds: 'min',
};

/** What several processes told, as that of one: each metric by its own aggregator, which for most is the sum. */
export function merged(told: readonly (readonly ToldFamily[])[]): Registry {
  return AggregatorRegistry.aggregate(
    told.map(families =>
      families.map(family => ({
        ...family,
        aggregator: MERGING[family.name] ?? family.aggregator,
        // An event loop that was not measured yet has a mean of NaN, which would be everybody's.
        values: family.values.filter(({ value }) => !Number.isNaN(value)),
      })),
    ),
  );
}

/** What must not go down when the process that told it is gone, or does not answer for once. */
export function countersOf(families: readonly ToldFamily[]): ToldFamily[] {
  return families.filter(({ type }) => ['counter', 'histogram'].includes(String(type)));
}
