import { posixWord } from '../shell-quoting.ts';
import type { Command, DesktopName } from './desktop.ts';

/** The command as one would type it into that desktop's shell; a password inside of a URL is left out. */
export function commandLineText({ program, args }: Command, desktop: DesktopName): string {
  const quote = desktop === 'windows' ? quoteForWindows : posixWord;
  return [program, ...args].map(text => quote(withoutPassword(text))).join(' ');
}

/** For messages: proxies and their scripts may be given as `http://user:password@host`. */
export function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/\s]*@/g, '//…@');
}

function quoteForWindows(text: string): string {
  return /^[\w@+=:,./\\-]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}
