import { takingPart } from '../contestants.ts';
import { Load } from '../load/load.ts';
import { groupsOf } from '../report/chart-groups.ts';
import { NO_VALUE } from '../report/figures.ts';
import type { Table } from '../report/markdown-table.ts';
import { summaryTable } from '../report/summary-table.ts';
import { percentile } from '../statistics/summary.ts';
import { type Context, type Measure, type MeasureResult, summaryOf, type Values } from './measure.ts';
import { type Arena, directSubject, isDirect, subjectsOf } from './with-pair.ts';

const IDLE_PINGS = { full: 1000, quick: 100 };
const LOADED_PINGS = { full: 300, quick: 30 };
const WARM_UP_PINGS = { full: 1000, quick: 100 };

export const IDLE_P50 = 'idle p50 ms';
const IDLE_P99 = 'idle p99 ms';
export const LOADED_P50 = 'under load p50 ms';
const LOADED_P99 = 'under load p99 ms';
const LOAD_RATE = 'load Gbit/s';

async function pings({ load, pair }: Arena, { quick, pinning }: Context): Promise<Values> {
  const size = quick ? 'quick' : 'full';
  const ping = async (count: number) => {
    const { milliseconds } = await load.ask('ping', { route: load.route('echo', pair?.socksPort), count });
    return { p50: percentile(milliseconds, 0.5), p99: percentile(milliseconds, 0.99) };
  };
  await ping(WARM_UP_PINGS[size]);
  const idle = await ping(IDLE_PINGS[size]);

  // From processes of its own, so that connections do not wait for the generator of the load.
  const download = await Load.start(pinning.load);
  try {
    await download.ask('startLoad', { route: download.route('source', pair?.socksPort) });
    const loaded = await ping(LOADED_PINGS[size]);
    const { bytes, seconds } = await download.ask('stopLoad', null);
    return {
      [IDLE_P50]: idle.p50,
      [IDLE_P99]: idle.p99,
      [LOADED_P50]: loaded.p50,
      [LOADED_P99]: loaded.p99,
      [LOAD_RATE]: (bytes * 8) / 1e9 / seconds,
    };
  } finally {
    await download.stop();
  }
}

/** Medians less those of the connection without a proxy in the same state. */
function addedTable(result: MeasureResult): Table {
  const direct = result.subjects.find(isDirect);
  const columns = [IDLE_P50, IDLE_P99, LOADED_P50, LOADED_P99];
  return {
    title: 'Added to the direct connection, ms (medians)',
    words: 2,
    header: ['method', 'client and server', ...columns.map(key => key.replace(' ms', ''))],
    rows: result.subjects
      .filter(subject => !isDirect(subject))
      .map(subject => [
        subject.method,
        subject.name,
        ...columns.map(key => {
          const [through, without] = [summaryOf(subject, key), direct && summaryOf(direct, key)];
          return through && without ? (through.median - without.median).toFixed(2) : NO_VALUE;
        }),
      ]),
  };
}

/** How long a new connection takes to its first byte back. */
export const latency: Measure = {
  name: 'latency',
  title: 'Latency',
  about: () =>
    'From connecting to the SOCKS5 port until one byte has come back from an echo, one connection after the other; idle, ' +
    'and while one download runs through the same pair. p50 and p99 within a round; then the median of rounds.',
  mostRounds: quick => (quick ? 1 : Number.POSITIVE_INFINITY),
  secondsEach: quick => (quick ? 2 : 9),
  subjects: context => {
    const work = (arena: Arena) => pings(arena, context);
    const contestants = takingPart(context.contestants, 'latency');
    return [directSubject(context, work), ...subjectsOf(context, contestants, work)];
  },
  tables: result => [
    summaryTable('Connection and first byte, ms', result, [
      { title: 'idle p50', key: IDLE_P50, digits: 2 },
      { title: 'idle p99', key: IDLE_P99, digits: 2 },
      { title: 'under load p50', key: LOADED_P50, digits: 2 },
      { title: 'under load p99', key: LOADED_P99, digits: 2 },
      { title: 'that load, Gbit/s', key: LOAD_RATE, digits: 1 },
    ]),
    addedTable(result),
  ],
  charts: result => [
    {
      file: 'latency-idle',
      title: 'Connection and first byte, idle: ms (less is better)',
      digits: 2,
      series: [IDLE_P50, IDLE_P99].map(key => ({ name: key.replace(' ms', ''), key })),
      groups: groupsOf(result),
    },
    {
      file: 'latency-loaded',
      title: 'Connection and first byte during a download: ms (less is better)',
      digits: 1,
      series: [LOADED_P50, LOADED_P99].map(key => ({ name: key.replace(' ms', ''), key })),
      groups: groupsOf(result),
    },
  ],
};
