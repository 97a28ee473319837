/**
 * Builds the addon. With --if-possible, as `npm ci` runs it, a machine that cannot is no error: podsocks works without,
 * and its log says why there is no addon.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.mjs';

const path = name => fileURLToPath(new URL(`build/${name}`, import.meta.url));

rmSync(path(''), { recursive: true, force: true });
mkdirSync(path(''), { recursive: true });
const reason = compile(path('aead.node'));
if (reason !== undefined) writeFileSync(path('reason.txt'), reason.split('\n')[0]);
if (reason !== undefined && !process.argv.includes('--if-possible')) {
  process.stderr.write(`the native addon was not built: ${reason}\n`);
  process.exitCode = 1;
}
