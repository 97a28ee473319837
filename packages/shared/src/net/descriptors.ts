import { PodsocksError } from '../runtime/errors.ts';

/** Descriptors that are not connections: event loop, listeners, logs, resolver, and some air. */
const RESERVED = 48;

/** Where the limit cannot be read (Windows has none that matters). */
const UNKNOWN_LIMIT = 16_384;

/** More connections than this on one process's core would only be slow; `--max-connections` may ask for more. */
const MOST = 16_384;

/** How many descriptors this process may have open. Node has raised the soft limit to the hard one by then. */
function descriptorLimit(): number {
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
  report.excludeNetwork = true; // or it looks up the name of every peer
  const { userLimits } = report.getReport() as unknown as { userLimits?: { open_files?: { soft?: number | string } } };
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : UNKNOWN_LIMIT;
}

/** More associations than this are more than one process's core can serve; `--udp-max-associations` may ask for more. */
const MOST_ASSOCIATIONS = 4096;

/**
 * How many connections fit.
 *
 * @param nofile a lower limit that the user asked for (`-n`).
 * @param each descriptors of one: a relayed one has two sockets.
 * @param taken descriptors that something else is to have.
 */
export function connectionBudget(nofile = Number.POSITIVE_INFINITY, { each = 2, taken = 0 } = {}): number {
  return Math.min(MOST, Math.max(1, Math.floor((Math.min(descriptorLimit(), nofile) - RESERVED - taken) / each)));
}

/** More queries for names than this at a time are more than a name server likes. */
const MOST_QUERIES = 256;

/** How many queries for names fit, each with a socket, without taking more than a sixteenth of what there is. */
export function queryBudget(nofile = Number.POSITIVE_INFINITY): number {
  return Math.min(MOST_QUERIES, Math.max(2, Math.floor(Math.min(descriptorLimit(), nofile) / 16)));
}

/** One for IPv4, one for IPv6, each when it is needed. */
export const SOCKETS_PER_ASSOCIATION = 2;

/**
 * @param nofile as of {@link connectionBudget}.
 * @throws PodsocksError ERR_CONFIG when so many associations would leave less than half of the descriptors.
 */
export function checkAssociations(associations: number, nofile = Number.POSITIVE_INFINITY): void {
  const limit = Math.min(descriptorLimit(), nofile);
  const needed = associations * SOCKETS_PER_ASSOCIATION;
  if (needed <= limit / 2) return;
  throw new PodsocksError(
    'ERR_CONFIG',
    `${associations} UDP associations (--udp-max-associations) may need ${needed} open files, more than half of the ` +
      `${limit} that there are; ask for fewer, raise the limit (ulimit -n), or say how many connections there may be beside ` +
      'them (--max-connections)',
  );
}

/** How many UDP associations fit without taking more than a quarter of what there is. */
export function associationBudget(nofile = Number.POSITIVE_INFINITY): number {
  const share = Math.floor((Math.min(descriptorLimit(), nofile) - RESERVED) / 4);
  return Math.min(MOST_ASSOCIATIONS, Math.max(1, Math.floor(share / SOCKETS_PER_ASSOCIATION)));
}
