import { takingPart } from '../contestants.ts';
import { groupsOf } from '../report/chart-groups.ts';
import { summaryTable } from '../report/summary-table.ts';
import type { Measure, Values } from './measure.ts';
import { type Arena, directSubject, subjectsOf } from './with-pair.ts';

const CONNECTIONS = { full: 6000, quick: 1000 };
const WARM_UP_CONNECTIONS = { full: 2000, quick: 500 };
const PARALLEL = 32;
const EXCHANGED_BYTES = 1000;

export const CONNECTIONS_PER_SECOND = 'connections/s';
const SERVER_MS = 'server ms';
const CLIENT_MS = 'client ms';
const LOAD_MS = 'load ms';
export const CONNECTION_CPU_MS = 'sum ms';

async function connect({ load, pair }: Arena, quick: boolean): Promise<Values> {
  const size = quick ? 'quick' : 'full';
  const route = load.route('echo', pair?.socksPort);
  const exchange = (connections: number) =>
    load.ask('exchange', { route, connections, parallel: PARALLEL, bytes: EXCHANGED_BYTES });
  await exchange(WARM_UP_CONNECTIONS[size]);

  const connections = CONNECTIONS[size];
  const before = { pair: pair?.usage(), load: load.usage() };
  const { seconds } = await exchange(connections);
  const milliseconds = (after: number, begun: number) => ((after - begun) * 1000) / connections;
  const values = {
    [CONNECTIONS_PER_SECOND]: connections / seconds,
    [LOAD_MS]: milliseconds(load.usage(), before.load),
  };
  if (!pair || !before.pair) return values;
  const after = pair.usage();
  const server = milliseconds(after.server, before.pair.server);
  const client = milliseconds(after.client, before.pair.client);
  return { ...values, [SERVER_MS]: server, [CLIENT_MS]: client, [CONNECTION_CPU_MS]: server + client };
}

/** How many connections a pair makes, one exchange each. */
export const connections: Measure = {
  name: 'connections',
  title: 'New connections',
  about: () =>
    `Each connects, does the SOCKS5 handshake, sends and receives ${EXCHANGED_BYTES} bytes, and closes; ${PARALLEL} at a ` +
    'time. Processor milliseconds are per connection.',
  mostRounds: quick => (quick ? 1 : Number.POSITIVE_INFINITY),
  secondsEach: quick => (quick ? 1.5 : 7),
  subjects: context => {
    const work = (arena: Arena) => connect(arena, context.quick);
    const contestants = takingPart(context.contestants, 'connections');
    return [directSubject(context, work), ...subjectsOf(context, contestants, work)];
  },
  tables: result => [
    summaryTable('New connections per second, and their cost', result, [
      { title: 'connections/s', key: CONNECTIONS_PER_SECOND, digits: 0 },
      { title: 'CPU ms, both', key: CONNECTION_CPU_MS, digits: 3 },
      { title: 'server', key: SERVER_MS, digits: 3 },
      { title: 'client', key: CLIENT_MS, digits: 3 },
      { title: 'load generator', key: LOAD_MS, digits: 3 },
    ]),
  ],
  charts: result => [
    {
      file: 'connections',
      title: 'New connections per second (more is better)',
      digits: 0,
      series: [{ name: 'connections/s', key: CONNECTIONS_PER_SECOND }],
      groups: groupsOf(result),
    },
  ],
};
