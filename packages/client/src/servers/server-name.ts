const MOST_CHARACTERS = 64;

/**
 * The name of a server as the log and the terminal may have it: it comes from URLs and lists that others write.
 *
 * @returns undefined where nothing of it is left.
 */
export function serverName(given: string | undefined): string | undefined {
  return given?.replace(/\p{C}/gu, '').slice(0, MOST_CHARACTERS) || undefined;
}
