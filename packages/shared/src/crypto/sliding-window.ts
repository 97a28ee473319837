import type { PacketId } from '../wire/sip022-datagram.ts';

/** Ids of one page; the window is the page of the newest id and the one before it. */
const PAGE_IDS = 2048;
const PAGE_BITS = 11;
const PAGE_WORDS = PAGE_IDS / 32;
/** High half to page: 2^32 / 2^11. A page number is below 2^53, so it is exact. */
const PAGES_OF_HIGH = 2 ** (32 - PAGE_BITS);

/** The ids behind the newest one that are surely still told apart; depending on the newest, up to twice as many are. */
export const WINDOW_IDS = PAGE_IDS;

/**
 * Which packet ids of a session were seen (SIP022 section 3.2.4): an id is taken once, in any order, until it is too far
 * behind the newest. 512 bytes for each session.
 *
 * The idea is that of RFC 6479 (and WireGuard): the bits do not slide, only whole blocks of them are cleared. Here there
 * are two blocks, which pages take in turn: an even page has the first, an odd one the second.
 */
export class SlidingWindow {
  readonly #seen = new Uint32Array(2 * PAGE_WORDS);
  /** The page of the newest id. */
  #page = 0;

  /** Whether the id was not seen and is not too old. Changes nothing: to be asked before the packet is authentic, too. */
  isFresh(id: PacketId): boolean {
    const page = pageOf(id);
    if (page > this.#page) return true;
    return page >= this.#page - 1 && (this.#seen[wordOf(page, id)]! & bitOf(id)) === 0;
  }

  /**
   * Takes the id of a packet that was validated as a whole.
   *
   * @returns false, and changes nothing, when it is not fresh.
   */
  commit(id: PacketId): boolean {
    if (!this.isFresh(id)) return false;
    const page = pageOf(id);
    if (page > this.#page + 1) this.#seen.fill(0);
    else if (page === this.#page + 1) this.#seen.fill(0, blockOf(page), blockOf(page) + PAGE_WORDS);
    if (page > this.#page) this.#page = page;
    this.#seen[wordOf(page, id)]! |= bitOf(id);
    return true;
  }
}

function pageOf({ high, low }: PacketId): number {
  return high * PAGES_OF_HIGH + (low >>> PAGE_BITS);
}

/** Where the block of a page begins, in words. */
function blockOf(page: number): number {
  return (page % 2) * PAGE_WORDS;
}

function wordOf(page: number, { low }: PacketId): number {
  return blockOf(page) + ((low % PAGE_IDS) >>> 5);
}

function bitOf({ low }: PacketId): number {
  return 1 << (low & 31);
}
