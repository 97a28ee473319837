import { NAMES } from '../contestants.ts';
import { bulkKey, TRANSFERS, transferTitle } from '../measures/bulk.ts';
import { cipherKey, OPENSSL, OPENSSL_BYTES } from '../measures/cipher.ts';
import { CONNECTION_CPU_MS, CONNECTIONS_PER_SECOND } from '../measures/connections.ts';
import { IDLE_P50, LOADED_P50 } from '../measures/latency.ts';
import { byRound, type MeasureResult, type SubjectName, type SubjectResult, summaryOf } from '../measures/measure.ts';
import { PAYLOADS, udpKey } from '../measures/udp.ts';
import { type Ratio, ratioOf } from '../statistics/ratio.ts';
import { formatSummary, threeFigures } from './figures.ts';
import type { Table } from './markdown-table.ts';

/** One of ours and those that it is held against. */
interface Rivalry {
  readonly title: string;
  readonly ours: SubjectName;
  readonly theirs: readonly SubjectName[];
  readonly quantities: readonly Quantity[];
}

/** A value that is compared. */
interface Quantity {
  readonly measure: string;
  readonly what: string;
  readonly key: string;
  readonly better: 'more' | 'less';
}

export interface Comparison {
  readonly rivalry: string;
  readonly what: string;
  readonly better: 'more' | 'less';
  /** Medians. */
  readonly ours: number;
  readonly theirs: number;
  /** Whose: the best of those that were compared. */
  readonly best: string;
  /** Ours divided by theirs. */
  readonly ratio: Ratio;
}

const THROUGH_PAIRS: readonly Quantity[] = [
  ...TRANSFERS.map(transfer => ({
    measure: 'bulk',
    what: `Gbit/s, ${transferTitle(transfer)}`,
    key: bulkKey(transfer, 'Gbit/s'),
    better: 'more' as const,
  })),
  ...TRANSFERS.map(transfer => ({
    measure: 'bulk',
    what: `CPU s/GB, ${transferTitle(transfer)}`,
    key: bulkKey(transfer, 'sum s/GB'),
    better: 'less' as const,
  })),
  { measure: 'connections', what: 'connections/s', key: CONNECTIONS_PER_SECOND, better: 'more' },
  { measure: 'connections', what: 'CPU ms per connection', key: CONNECTION_CPU_MS, better: 'less' },
  { measure: 'latency', what: 'latency p50 ms, idle', key: IDLE_P50, better: 'less' },
  { measure: 'latency', what: 'latency p50 ms, under load', key: LOADED_P50, better: 'less' },
  ...PAYLOADS.map(bytes => ({
    measure: 'udp',
    what: `UDP packets/s, ${bytes} bytes`,
    key: udpKey(bytes, 'packets/s'),
    better: 'more' as const,
  })),
  ...PAYLOADS.flatMap(bytes => [
    {
      measure: 'udp',
      what: `UDP CPU s per million packets, ${bytes} bytes`,
      key: udpKey(bytes, 'sum s/M'),
      better: 'less' as const,
    },
    {
      measure: 'udp',
      what: `UDP CPU s per million packets, ${bytes} bytes, server`,
      key: udpKey(bytes, 'server s/M'),
      better: 'less' as const,
    },
  ]),
];

const SEALING: readonly Quantity[] = ['aes-256-gcm', 'aes-192-gcm', 'aes-128-gcm', 'chacha20-poly1305'].map(aead => ({
  measure: 'cipher',
  what: `GB/s, ${aead}, ${OPENSSL_BYTES} bytes`,
  key: cipherKey(aead, 'seal', OPENSSL_BYTES),
  better: 'more',
}));

const LIBEV = { method: 'aes-256-gcm', name: NAMES.libev };

const RIVALRIES: readonly Rivalry[] = [
  against(LIBEV, { method: 'aes-256-gcm', name: NAMES.native }),
  // Of UDP only: that is what the others are measured with by this method.
  againstBetter('aes-256-gcm'),
  against(LIBEV, { method: '2022-blake3-aes-256-gcm', name: NAMES.node }),
  againstBetter('2022-blake3-aes-256-gcm'),
  againstBetter('2022-blake3-aes-128-gcm'),
  {
    title: `Cipher core: native backend against ${OPENSSL}`,
    ours: { method: '', name: 'native' },
    theirs: [{ method: '', name: OPENSSL }],
    quantities: SEALING,
  },
];

function against(rival: SubjectName, ours: SubjectName): Rivalry {
  const title = `${ours.name}, ${ours.method}, against ${rival.name}, ${rival.method}`;
  return { title, ours, theirs: [rival], quantities: THROUGH_PAIRS };
}

function againstBetter(method: string): Rivalry {
  return {
    title: `${NAMES.native}, ${method}, against the better of ${NAMES.rust} and ${NAMES.singBox}`,
    ours: { method, name: NAMES.native },
    theirs: [
      { method, name: NAMES.rust },
      { method, name: NAMES.singBox },
    ],
    quantities: THROUGH_PAIRS,
  };
}

/** Every comparison that the results allow. */
export function compare(results: readonly MeasureResult[]): Comparison[] {
  return RIVALRIES.flatMap(({ title, ours, theirs, quantities }) =>
    quantities.flatMap(({ measure, what, key, better }) => {
      const subjects = results.find(({ name }) => name === measure)?.subjects ?? [];
      const own = withMedian(subjects, ours, key);
      const best = theirs
        .flatMap(name => withMedian(subjects, name, key) ?? [])
        .sort((a, b) => (better === 'more' ? b.median - a.median : a.median - b.median))[0];
      const ratio = own && best && ratioOf(byRound(own.subject, key), byRound(best.subject, key));
      if (!own || !best || !ratio) return [];
      return [{ rivalry: title, what, better, ours: own.median, theirs: best.median, best: best.subject.name, ratio }];
    }),
  );
}

/** A table for each rivalry. */
export function ratioTables(comparisons: readonly Comparison[]): Table[] {
  const titles = [...new Set(comparisons.map(({ rivalry }) => rivalry))];
  return titles.map(title => ({
    title,
    words: 3,
    header: ['what', 'better is', 'theirs is', 'ours', 'theirs', 'ours / theirs'],
    rows: comparisons
      .filter(({ rivalry }) => rivalry === title)
      .map(({ what, better, best, ours, theirs, ratio }) => [
        what,
        better,
        best,
        threeFigures(ours),
        threeFigures(theirs),
        formatSummary(ratio, 2),
      ]),
  }));
}

function withMedian(subjects: readonly SubjectResult[], { method, name }: SubjectName, key: string) {
  const subject = subjects.find(candidate => candidate.method === method && candidate.name === name);
  const summary = subject && summaryOf(subject, key);
  return summary && { subject, median: summary.median };
}
