import { readFileSync } from 'node:fs';

/** The version of this package; the path is the same from its sources and from its build. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
