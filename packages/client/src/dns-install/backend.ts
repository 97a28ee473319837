import type { BackendName, Plan, Wanted } from './plan.ts';
import type { DnsSystem } from './system.ts';

/** A program of the system that sends some zones to a DNS server of their own. Nothing is changed here. */
export interface Backend {
  readonly name: BackendName;
  /**
   * What leads to these zones, and no others of ours, being sent there.
   *
   * @throws PodsocksError where the backend is not there, or cannot do it, or somebody else's file is in the way.
   */
  install(system: DnsSystem, wanted: Wanted): Promise<Plan>;
  /** What takes away all that is ours; no steps where nothing is. */
  uninstall(system: DnsSystem): Promise<Plan>;
  /** What stands where ours would be, and is not ours. */
  foreign(system: DnsSystem): string[];
}
