import { fileURLToPath } from 'node:url';
import { nativeAbsence } from '@podsocks/shared/crypto/aead-native';
import { Child } from '../children.ts';
import { type CipherSpeed, SIZES } from '../cipher/cipher-speed.ts';
import { opensslSpeed, opensslVersion } from '../cipher/openssl-speed.ts';
import type { BarChart } from '../report/bar-chart.ts';
import { NO_VALUE, threeFigures } from '../report/figures.ts';
import type { Table } from '../report/markdown-table.ts';
import { type Context, type Measure, type MeasureResult, type Subject, summaryOf, type Values } from './measure.ts';

/** XChaCha20 is not in OpenSSL. */
const OPENSSL_CIPHERS = {
  full: ['aes-256-gcm', 'aes-192-gcm', 'aes-128-gcm', 'chacha20-poly1305'],
  quick: ['aes-256-gcm'],
};
const AEADS = [...OPENSSL_CIPHERS.full, 'xchacha20-poly1305'];
/** Of the chart; AES-192 is between the two, and XChaCha20 is one backend only. */
const CHART_AEADS = ['aes-256-gcm', 'aes-128-gcm', 'chacha20-poly1305'];
const OPERATION_MS = { full: 100, quick: 10 };
export const OPENSSL_BYTES = 16384;
export const OPENSSL = 'openssl speed';

const OPERATIONS = ['seal', 'open'] as const;

export function cipherKey(aead: string, operation: string, bytes: number): string {
  return `${aead} ${operation} ${bytes} B: GB/s`;
}

async function backendSpeeds(backend: string, { quick, pinning }: Context): Promise<Values> {
  const script = fileURLToPath(new URL('../cipher/cipher-process.js', import.meta.url));
  const child = new Child({
    name: `the cipher process (${backend})`,
    command: [process.execPath, script, backend, `${OPERATION_MS[quick ? 'quick' : 'full']}`],
    cpus: pinning.server,
    messages: true,
  });
  const speeds = (await Promise.race([child.message(), child.failure()])) as CipherSpeed[];
  await child.stop();
  return Object.fromEntries(
    speeds.map(({ aead, operation, bytes, nanoseconds }) => [cipherKey(aead, operation, bytes), bytes / nanoseconds]),
  );
}

async function opensslSpeeds({ quick, pinning }: Context): Promise<Values> {
  const values: Record<string, number> = {};
  for (const aead of OPENSSL_CIPHERS[quick ? 'quick' : 'full']) {
    const speed = await opensslSpeed(aead, OPENSSL_BYTES, 1, pinning.server);
    values[cipherKey(aead, 'seal', OPENSSL_BYTES)] = speed / 1e9;
  }
  return values;
}

function subjects(context: Context): Subject[] {
  const backends = nativeAbsence() === undefined ? ['native', 'node', 'noble'] : ['node', 'noble'];
  return [
    ...backends.map(name => ({ method: '', name, measure: () => backendSpeeds(name, context) })),
    ...(opensslVersion() ? [{ method: '', name: OPENSSL, measure: () => opensslSpeeds(context) }] : []),
  ];
}

/** The other way round than other tables: backends side by side. */
function table(
  result: MeasureResult,
  title: string,
  operations: readonly string[],
  cell: (gigabytes: number, bytes: number) => string,
): Table {
  const rows = AEADS.flatMap(aead =>
    operations.flatMap(operation =>
      SIZES.flatMap(bytes => {
        const medians = result.subjects.map(subject => summaryOf(subject, cipherKey(aead, operation, bytes))?.median);
        if (medians.every(median => median === undefined)) return [];
        return [[aead, operation, `${bytes}`, ...medians.map(median => (median ? cell(median, bytes) : NO_VALUE))]];
      }),
    ),
  );
  const names = result.subjects.map(({ name, failure }) => (failure ? `${name} (failed)` : name));
  return { title, words: 2, header: ['primitive', 'operation', 'bytes', ...names], rows };
}

function chart(result: MeasureResult): BarChart {
  return {
    file: 'cipher',
    title: 'Cipher core, sealing: GB/s (more is better)',
    digits: 3,
    series: result.subjects.map(({ name }) => ({ name, key: name })),
    groups: CHART_AEADS.map(aead => ({
      title: aead,
      bars: SIZES.map(bytes => ({
        label: `${bytes} bytes`,
        valueOf: (backend: string) => {
          const subject = result.subjects.find(({ name }) => name === backend);
          return subject && summaryOf(subject, cipherKey(aead, 'seal', bytes));
        },
      })),
    })),
  };
}

/** The cipher core alone, each backend in a process of its own. */
export const cipher: Measure = {
  name: 'cipher',
  title: 'Cipher core',
  about: () =>
    `Sealing and opening alone, on one core, beside \`${OPENSSL}\` of ${opensslVersion() ?? 'no OpenSSL'} ` +
    `(Node has OpenSSL ${process.versions.openssl} built in). Medians.`,
  mostRounds: quick => (quick ? 1 : Number.POSITIVE_INFINITY),
  secondsEach: quick => (quick ? 1.5 : 6),
  subjects,
  tables: result => [
    table(result, 'GB/s', OPERATIONS, threeFigures),
    table(result, 'Nanoseconds per operation', ['seal'], (gigabytes, bytes) => (bytes / gigabytes).toFixed(0)),
  ],
  charts: result => [chart(result)],
};
