import { readFileSync } from 'node:fs';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { type Metric, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { loadServer } from '../config.ts';
import { ResolverStats } from '../resolver/resolver-stats.ts';
import { registerLife } from './life-metrics.ts';
import { registerBuild } from './process-metrics.ts';
import { registerServer } from './server-metrics.ts';
import { primaryRegistry } from './server-registry.ts';
import { SessionCounts } from './session-counts.ts';
import { StrangerCounts } from './stranger-counts.ts';
import { WorkerMetrics } from './worker-metrics.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/monitoring.md', import.meta.url), 'utf8');

/** `name type labels`, of every metric that is ours. */
async function registered(): Promise<string[]> {
  const own = primaryRegistry(() => 1);
  new WorkerMetrics({ own, patience: 1 });
  const server = new Registry();
  const { config } = loadServer({ password: Buffer.alloc(32, 7).toString('base64') }, {});
  registerBuild(server, config);
  const resolver = { stats: new ResolverStats(), load: { queries: 0, waiting: 0, remembered: 0 } };
  const counts = { strangerCounts: new StrangerCounts(), datagramCounts: new DatagramCounts() };
  const status = { limits: { maxConnections: 1 }, clientConnections: () => 0, strangers: () => 0, turnedAway: () => 0 };
  registerServer(server, { ...status, ...counts, resolver }, new SessionCounts());
  registerLife(server, {
    isDraining: () => false,
    userCount: () => 1,
    reloadFailures: () => 0,
    usersStale: () => false,
  });
  const all = [own, server].flatMap(registry => registry.getMetricsAsArray() as unknown as Metric[]);
  const told = await Promise.all(
    all.map(async metric => {
      const { name, type } = await metric.get();
      const { labelNames = [] } = metric as unknown as { labelNames?: string[] };
      return `${name} ${type} ${labelNames}`;
    }),
  );
  return told.filter(line => line.startsWith('podsocks_')).sort();
}

it('docs/monitoring.md has every metric, with its type and labels', async () => {
  const rows = [...DOCUMENT.matchAll(/^\| `(podsocks_\w+)` \| (\w+) \| (.*?) \|/gm)];
  const documented = rows.map(([, name, type, labels]) => {
    const names = [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label);
    return `${name} ${type} ${names}`;
  });
  expect(documented.sort()).toEqual(await registered());
});

it('and every value that their labels have', () => {
  const sessions = new SessionCounts();
  const values = [sessions.refusals, sessions.ends, new StrangerCounts().refused, new ResolverStats().failures];
  for (const value of values.flatMap(counts => Object.keys(counts))) expect(DOCUMENT).toContain(`\`${value}\``);
});
