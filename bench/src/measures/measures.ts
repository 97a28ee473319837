import { bulk } from './bulk.ts';
import { cipher } from './cipher.ts';
import { connections } from './connections.ts';
import { latency } from './latency.ts';
import type { Measure } from './measure.ts';
import { memory } from './memory.ts';
import { udp } from './udp.ts';

/** All of them, in the order of a round. */
export const MEASURES: readonly Measure[] = [bulk, connections, latency, udp, memory, cipher];
