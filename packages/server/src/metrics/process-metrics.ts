import { readFileSync } from 'node:fs';
import { backendFor } from '@podsocks/shared/crypto/backends';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { ServerConfig } from '../config.ts';
import { gauge } from './families.ts';

/**
 * What is left out: each of these goes through all sockets, which takes 10 ms where there are 10,000, and half of them are
 * gauges whose names are for counters, as promtool says.
 */
const LEFT_OUT = ['handles', 'requests', 'resources'].flatMap(what => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
]);

/** `process_*` and `nodejs_*` of this process. */
export function registerProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of LEFT_OUT) registry.removeSingleMetric(name);
}

/** What runs: a gauge that is always 1. */
export function registerBuild(registry: Registry, { method, cryptoBackend }: ServerConfig): void {
  const labels = {
    version: ownVersion(),
    node: process.versions.node,
    crypto_backend: backendFor(method, cryptoBackend).name,
    method: method.name,
  };
  gauge(
    registry,
    { name: 'podsocks_build_info', help: 'What runs; always 1.', labels: Object.keys(labels) },
    () => [{ labels, value: 1 }],
    'first',
  );
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}
