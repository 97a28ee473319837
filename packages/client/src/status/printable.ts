/** What peers, URLs and other programs say, for a terminal: nothing in it moves the cursor or turns the line around. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
