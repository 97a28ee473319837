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

/**
 * How many connections fit: each relayed one has two sockets.
 *
 * @param nofile a lower limit that the user asked for (`-n`).
 */
export function connectionBudget(nofile = Number.POSITIVE_INFINITY): number {
  return Math.min(MOST, Math.max(1, Math.floor((Math.min(descriptorLimit(), nofile) - RESERVED) / 2)));
}
