import { PodsocksError } from '../runtime/errors.ts';

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads `443`, `8000-8999`, or several of these with commas between.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parsePorts(text: string): readonly PortRange[] {
  return text.split(',').map(part => {
    const [, first, last = first] = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(part) ?? [];
    const range = { first: Number(first), last: Number(last) };
    if (first !== undefined && range.first >= 1 && range.last <= 0xffff && range.first <= range.last) return range;
    throw new PodsocksError(
      'ERR_CONFIG',
      `${JSON.stringify(part.trim().slice(0, 40))} is not a port or range of ports; write 443, or 8000-8999, with 1 to 65535`,
    );
  });
}

export function hasPort(ranges: readonly PortRange[], port: number): boolean {
  for (const { first, last } of ranges) if (port >= first && port <= last) return true;
  return false;
}

/** Whether the port is there by itself, and not only as one of a range. */
export function spellsPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => first === port && last === port);
}
