import { PodsocksError } from '@podsocks/shared/runtime/errors';

const DAY_MS = 86_400_000;

const EXPIRES = 'give a time such as "2027-01-31T18:00:00Z", or a date, "2027-01-31": to the end of that day, UTC';

/**
 * When a user expires: a time with its zone (RFC 3339), or a date, which is over when its day is, in UTC.
 *
 * @returns milliseconds since 1970.
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseExpires(text: string): number {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?$/i.exec(text) ?? [];
  // Date.parse lets the 31st of February be in March.
  const isDay = date !== undefined && isoDate(Date.parse(`${date}T00:00:00Z`)) === date;
  const at = isDay ? Date.parse(time === undefined ? `${date}T00:00:00Z` : text.toUpperCase()) : Number.NaN;
  if (Number.isNaN(at)) throw wrong(`is no time; ${EXPIRES}`);
  return time === undefined ? at + DAY_MS : at;
}

function isoDate(at: number): string | undefined {
  return Number.isNaN(at) ? undefined : new Date(at).toISOString().slice(0, 10);
}

/** A time as {@link parseExpires} reads it. */
export function formatExpires(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

const UNITS: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  kbit: 1e3 / 8,
  Mbit: 1e6 / 8,
  Gbit: 1e9 / 8,
};

/** Less would not carry a connection. */
const LEAST_BYTES = 1000;

/**
 * Bytes a second: `10MB`, or `100Mbit`. Bits and bytes have to be told apart by name, and both are decimal.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseBandwidth(text: string): number {
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?) ?([kMG](?:B|bit))(?:\/s)?$/.exec(text) ?? [];
  if (amount === undefined) {
    throw wrong('is no bandwidth; give bytes a second, "10MB", or bits a second, "100Mbit" (k, M or G)');
  }
  const bytes = Math.ceil(Number(amount) * UNITS[unit!]!);
  if (bytes < LEAST_BYTES) throw wrong(`is too little; give ${formatBandwidth(LEAST_BYTES)} or more`);
  return bytes;
}

/** A bandwidth as {@link parseBandwidth} reads it. */
export function formatBandwidth(bytes: number): string {
  const [unit, size] = bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : (['kB', 1e3] as const);
  return `${Number((bytes / size).toFixed(3))}${unit}`;
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
