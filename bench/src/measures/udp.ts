import { takingPart } from '../contestants.ts';
import type { BarChart } from '../report/bar-chart.ts';
import { groupsOf } from '../report/chart-groups.ts';
import type { Table } from '../report/markdown-table.ts';
import { summaryTable } from '../report/summary-table.ts';
import type { Measure, MeasureResult, Values } from './measure.ts';
import { type Arena, directSubject, isDirect, subjectsOf } from './with-pair.ts';

/** Like a DNS query or voice, and nearly as much as fits into 1500 bytes with the headers of every method. */
export const PAYLOADS: readonly number[] = [64, 1382];
/** Out at any time: few enough for receive buffers of the usual size, whatever the payload. */
const WINDOW = 64;
const SECONDS = { full: 3, quick: 0.3 };
const WARM_UP_SECONDS = { full: 1.5, quick: 0.1 };
/** Of an echo, through each process: there and back. */
const PACKETS_PER_ECHO = 2;

type Quantity =
  | 'packets/s'
  | 'lost %'
  | 'server s/M'
  | 'client s/M'
  | 'sum s/M'
  | 'load s/M'
  | 'server packets/s of one core'
  | 'client packets/s of one core';

export function udpKey(bytes: number, quantity: Quantity): string {
  return `${bytes} bytes: ${quantity}`;
}

async function bounceAll({ load, pair }: Arena, quick: boolean): Promise<Values> {
  const size = quick ? 'quick' : 'full';
  const route = load.route('datagrams', pair?.socksPort);
  const values: Record<string, number> = {};
  for (const bytes of PAYLOADS) {
    const bounce = (seconds: number) => load.ask('bounce', { route, bytes, window: WINDOW, seconds });
    await bounce(WARM_UP_SECONDS[size]);
    const before = { pair: pair?.usage(), load: load.usage() };
    const { seconds, echoes, lost } = await bounce(SECONDS[size]);
    const packets = echoes * PACKETS_PER_ECHO;
    const perMillion = (after: number, begun: number) => (after - begun) / (packets / 1e6);
    values[udpKey(bytes, 'packets/s')] = packets / seconds;
    values[udpKey(bytes, 'lost %')] = (100 * lost) / (echoes + lost);
    values[udpKey(bytes, 'load s/M')] = perMillion(load.usage(), before.load);
    if (!pair || !before.pair) continue;
    const after = pair.usage();
    const server = perMillion(after.server, before.pair.server);
    const client = perMillion(after.client, before.pair.client);
    values[udpKey(bytes, 'server s/M')] = server;
    values[udpKey(bytes, 'client s/M')] = client;
    values[udpKey(bytes, 'sum s/M')] = server + client;
    // A quick run may be shorter than what the kernel counts in.
    if (server > 0) values[udpKey(bytes, 'server packets/s of one core')] = 1e6 / server;
    if (client > 0) values[udpKey(bytes, 'client packets/s of one core')] = 1e6 / client;
  }
  return values;
}

function columns(parts: readonly { readonly title: string; readonly quantity: Quantity; readonly digits: number }[]) {
  return PAYLOADS.flatMap(bytes =>
    parts.map(({ title, quantity, digits }) => ({
      title: `${bytes} bytes: ${title}`,
      key: udpKey(bytes, quantity),
      digits,
    })),
  );
}

function cpuTable(result: MeasureResult, bytes: number): Table {
  return summaryTable(`Processor seconds per million packets, ${bytes} bytes`, result, [
    { title: 'both', key: udpKey(bytes, 'sum s/M'), digits: 2 },
    { title: 'server', key: udpKey(bytes, 'server s/M'), digits: 2 },
    { title: 'client', key: udpKey(bytes, 'client s/M'), digits: 2 },
    { title: 'load generator and target', key: udpKey(bytes, 'load s/M'), digits: 2 },
  ]);
}

function chart(result: MeasureResult): BarChart {
  return {
    file: 'udp-cpu',
    title: 'UDP: processor seconds per million packets (less is better)',
    digits: 1,
    series: PAYLOADS.flatMap(bytes =>
      (['server', 'client'] as const).map(end => ({
        name: `${bytes} bytes: ${end}`,
        stack: `${bytes}`,
        key: udpKey(bytes, `${end} s/M`),
      })),
    ),
    totals: PAYLOADS.map(bytes => ({ stack: `${bytes}`, key: udpKey(bytes, 'sum s/M') })),
    groups: groupsOf({ ...result, subjects: result.subjects.filter(subject => !isDirect(subject)) }),
  };
}

/** Rates of datagrams, and what they cost each process. */
export const udp: Measure = {
  name: 'udp',
  title: 'UDP',
  about: quick =>
    `Datagrams to an echo and back through one UDP association, ${WINDOW} on their way at any time, for ` +
    `${SECONDS[quick ? 'quick' : 'full']} s. An echo is two packets through each process; bytes are those of the payload. Lost is ` +
    'what was not back after 250 ms. Processor seconds are user and system time of all threads. Where load generator and target ' +
    "have no CPUs of their own, packets/s is mostly theirs and the kernel's: what one core would do follows from the processor " +
    'seconds.',
  mostRounds: quick => (quick ? 1 : Number.POSITIVE_INFINITY),
  secondsEach: quick => (quick ? 1.5 : 10),
  subjects: context => {
    const work = (arena: Arena) => bounceAll(arena, context.quick);
    const contestants = takingPart(context.contestants, 'udp');
    return [directSubject(context, work), ...subjectsOf(context, contestants, work, true)];
  },
  tables: result => [
    ...PAYLOADS.map(bytes => cpuTable(result, bytes)),
    summaryTable(
      'Packets per second, and what was lost',
      result,
      columns([
        { title: 'packets/s', quantity: 'packets/s', digits: 0 },
        { title: 'lost %', quantity: 'lost %', digits: 2 },
      ]),
    ),
    summaryTable(
      'Packets per second that one core would do: a million divided by its processor seconds per million',
      result,
      columns([
        { title: 'server', quantity: 'server packets/s of one core', digits: 0 },
        { title: 'client', quantity: 'client packets/s of one core', digits: 0 },
      ]),
    ),
  ],
  charts: result => [chart(result)],
};
