import { takingPart } from '../contestants.ts';
import type { BarChart } from '../report/bar-chart.ts';
import { groupsOf } from '../report/chart-groups.ts';
import { type Column, summaryTable } from '../report/summary-table.ts';
import type { Measure, MeasureResult, Values } from './measure.ts';
import { type Arena, directSubject, isDirect, subjectsOf } from './with-pair.ts';

const MIB = 2 ** 20;
const BYTES = { full: 1024 * MIB, quick: 128 * MIB };
/** Each way, before anything is counted: compiled code and warm buffers. */
const WARM_UP_BYTES = { full: 512 * MIB, quick: 48 * MIB };

export interface BulkTransfer {
  readonly command: 'download' | 'upload';
  readonly streams: number;
}

export const TRANSFERS: readonly BulkTransfer[] = [
  { command: 'download', streams: 1 },
  { command: 'upload', streams: 1 },
  { command: 'download', streams: 8 },
  { command: 'upload', streams: 8 },
];

type Quantity = 'Gbit/s' | 'server s/GB' | 'client s/GB' | 'sum s/GB' | 'load s/GB';

/** `download, 8 streams` */
export function transferTitle({ command, streams }: BulkTransfer): string {
  return `${command}, ${streams} ${streams === 1 ? 'stream' : 'streams'}`;
}

export function bulkKey(transfer: BulkTransfer, quantity: Quantity): string {
  return `${transferTitle(transfer)}: ${quantity}`;
}

async function transferAll({ load, pair }: Arena, quick: boolean): Promise<Values> {
  const size = quick ? 'quick' : 'full';
  const transfer = ({ command, streams }: BulkTransfer, bytes: number) => {
    const route = load.route(command === 'download' ? 'source' : 'sink', pair?.socksPort);
    return load.ask(command, { route, streams, bytes });
  };
  for (const command of ['download', 'upload'] as const) await transfer({ command, streams: 1 }, WARM_UP_BYTES[size]);

  const values: Record<string, number> = {};
  const bytes = BYTES[size];
  for (const each of TRANSFERS) {
    const before = { pair: pair?.usage(), load: load.usage() };
    const { seconds } = await transfer(each, bytes);
    const perGigabyte = (after: number, begun: number) => (after - begun) / (bytes / 1e9);
    values[bulkKey(each, 'Gbit/s')] = (bytes * 8) / 1e9 / seconds;
    values[bulkKey(each, 'load s/GB')] = perGigabyte(load.usage(), before.load);
    if (!pair || !before.pair) continue;
    const after = pair.usage();
    const server = perGigabyte(after.server, before.pair.server);
    const client = perGigabyte(after.client, before.pair.client);
    values[bulkKey(each, 'server s/GB')] = server;
    values[bulkKey(each, 'client s/GB')] = client;
    values[bulkKey(each, 'sum s/GB')] = server + client;
  }
  return values;
}

function columns(quantity: Quantity): Column[] {
  return TRANSFERS.map(transfer => ({ title: transferTitle(transfer), key: bulkKey(transfer, quantity), digits: 2 }));
}

function charts(result: MeasureResult): BarChart[] {
  const [down, up] = TRANSFERS as [BulkTransfer, BulkTransfer];
  const ofPairs = { ...result, subjects: result.subjects.filter(subject => !isDirect(subject)) };
  const cpu = [down, up].flatMap(transfer => [
    { name: `${transfer.command}: server`, stack: transfer.command, key: bulkKey(transfer, 'server s/GB') },
    { name: `${transfer.command}: client`, stack: transfer.command, key: bulkKey(transfer, 'client s/GB') },
  ]);
  const totals = [down, up].map(transfer => ({ stack: transfer.command, key: bulkKey(transfer, 'sum s/GB') }));
  return [
    {
      file: 'bulk-rate',
      title: 'Bulk transfers: Gbit/s (more is better)',
      digits: 1,
      series: columns('Gbit/s').map(({ title, key }) => ({ name: title, key })),
      groups: groupsOf(ofPairs),
    },
    {
      file: 'bulk-cpu',
      title: 'Bulk transfers, 1 stream: processor seconds per GB (less is better)',
      digits: 2,
      series: cpu,
      totals,
      groups: groupsOf(ofPairs),
    },
  ];
}

/** Rates of TCP transfers, and what they cost each process. */
export const bulk: Measure = {
  name: 'bulk',
  title: 'Bulk transfers',
  about: quick =>
    `${BYTES[quick ? 'quick' : 'full'] / MIB} MiB in all, shared among the streams. Processor seconds are user and system ` +
    'time of all threads; a GB is 10⁹ bytes. Crossed pairs are named client → server.',
  secondsEach: quick => (quick ? 1.2 : 14),
  subjects: context => {
    const work = (arena: Arena) => transferAll(arena, context.quick);
    return [directSubject(context, work), ...subjectsOf(context, takingPart(context.contestants, 'bulk'), work)];
  },
  tables: result => [
    summaryTable('Rate, Gbit/s', result, columns('Gbit/s')),
    summaryTable('Processor seconds per GB, server and client together', result, columns('sum s/GB')),
    summaryTable('Processor seconds per GB, server', result, columns('server s/GB')),
    summaryTable('Processor seconds per GB, client', result, columns('client s/GB')),
    summaryTable('Processor seconds per GB, load generator and target', result, columns('load s/GB')),
  ],
  charts,
};
