/** Text of POSIX shells in which nothing has a meaning. */
export function posixQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A word of a command line for POSIX shells, in quotes where it needs them. */
export function posixWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : posixQuoted(text);
}

/** Text of PowerShell in which nothing has a meaning: of the quotes that end it, typographic ones too, each stands twice. */
export function powerShellQuoted(text: string): string {
  return `'${text.replace(/['\u2018-\u201b]/g, '$&$&')}'`;
}
