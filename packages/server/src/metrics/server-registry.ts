import { Registry } from 'prom-client';
import type { ServerConfig } from '../config.ts';
import { gauge } from './families.ts';
import { registerBuild, registerProcess } from './process-metrics.ts';
import { registerServer, type ServerStatus } from './server-metrics.ts';
import type { SessionCounts } from './session-counts.ts';

/** All metrics of a server and of the process that it runs in, in a registry of its own. */
export function serverRegistry(config: ServerConfig, server: ServerStatus, sessions: SessionCounts): Registry {
  const registry = new Registry();
  registerBuild(registry, config);
  registerServer(registry, server, sessions);
  registerProcess(registry);
  return registry;
}

/** Those of the process that has workers. */
export function primaryRegistry(workers: () => number): Registry {
  const registry = new Registry();
  gauge(registry, { name: 'podsocks_workers', help: 'Worker processes that serve.' }, () => [{ value: workers() }]);
  registerProcess(registry);
  return registry;
}
