import { setTimeout as sleep } from 'node:timers/promises';
import { takingPart } from '../contestants.ts';
import { residentBytes } from '../process-usage.ts';
import { summaryTable } from '../report/summary-table.ts';
import type { Measure, Values } from './measure.ts';
import { type Arena, subjectsOf } from './with-pair.ts';

const IDLE_CONNECTIONS = { full: 2000, quick: 300 };
/** Code and heap that any first connections bring in are not the price of a connection. */
const WARM_UP_CONNECTIONS = 100;
const SETTLE_MS = { full: 5000, quick: 500 };

const ENDS = ['server', 'client'] as const;
const restKey = (end: string) => `${end} at rest MB`;
const eachKey = (end: string) => `${end} per connection kB`;

async function resident({ load, pair }: Arena, quick: boolean): Promise<Values> {
  const size = quick ? 'quick' : 'full';
  const bytes = () => ENDS.map(end => residentBytes(pair![end].pid));
  const route = load.route('echo', pair!.socksPort);

  await sleep(SETTLE_MS[size]);
  const rest = bytes();
  await load.ask('openIdle', { route, count: WARM_UP_CONNECTIONS });
  await sleep(SETTLE_MS[size]);
  const warm = bytes();
  await load.ask('openIdle', { route, count: IDLE_CONNECTIONS[size] });
  await sleep(SETTLE_MS[size]);
  const full = bytes();
  return Object.fromEntries(
    ENDS.flatMap((end, index) => [
      [restKey(end), rest[index]! / 1e6],
      [eachKey(end), (full[index]! - warm[index]!) / 1e3 / IDLE_CONNECTIONS[size]],
    ]),
  );
}

/** Resident memory of each process, before any connection and for each idle one. */
export const memory: Measure = {
  name: 'memory',
  title: 'Memory',
  about: quick => {
    const size = quick ? 'quick' : 'full';
    return (
      `Resident memory (VmRSS) ${SETTLE_MS[size] / 1000} s after the start, and what ${IDLE_CONNECTIONS[size]} idle relayed ` +
      `connections add to it ${SETTLE_MS[size] / 1000} s after they have exchanged a byte, divided by their number.`
    );
  },
  mostRounds: quick => (quick ? 1 : 2),
  secondsEach: quick => (quick ? 3 : 18),
  subjects: context => {
    const contestants = takingPart(context.contestants, 'memory');
    return subjectsOf(context, contestants, arena => resident(arena, context.quick));
  },
  tables: result => [
    summaryTable('Resident memory', result, [
      ...ENDS.map(end => ({ title: `${end} at rest, MB`, key: restKey(end), digits: 1 })),
      ...ENDS.map(end => ({ title: `${end} per connection, kB`, key: eachKey(end), digits: 1 })),
    ]),
  ],
  charts: () => [],
};
