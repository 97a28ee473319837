const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** What peers, URLs and other programs say, for a terminal: nothing in it moves the cursor or turns the line around. */
export function printable(text: string): string {
  return text.replace(UNSEEN, '?');
}

/** Whether a text has what {@link printable} replaces. */
export function hasUnseen(text: string): boolean {
  return printable(text) !== text;
}

/** For messages: in quotes, and no more than its beginning. */
export function quotedBriefly(text: string): string {
  return JSON.stringify(printable(text.length > 40 ? `${text.slice(0, 40)}…` : text));
}

/** The same as JSON in lines. JSON itself escapes some of it only; escaped, it is the same text to whoever reads it. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(UNSEEN, character =>
    character === '\n' ? character : escaped(character),
  );
}

function escaped(character: string): string {
  const units = character.split('').map(unit => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map(unit => `\\u${unit}`).join('');
}
