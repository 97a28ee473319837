/**
 * Builds the addon. With --if-possible, as `npm ci` runs it, a machine that cannot is no error: podsocks works without,
 * and its log says why there is no addon.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = name => fileURLToPath(new URL(`build/${name}`, import.meta.url));

async function build() {
  try {
    rmSync(path(''), { recursive: true, force: true });
    mkdirSync(path(''), { recursive: true });
    const { compile } = await import('./compile.mjs'); // which needs node-api-headers
    return compile(path('aead.node')) ?? (existsSync(path('aead.node')) ? undefined : 'the compiler made nothing');
  } catch (error) {
    return error.message;
  }
}

const reason = await build();
if (reason !== undefined) {
  const line = reason.split('\n').find(text => text.includes('error')) ?? reason.split('\n')[0];
  try {
    writeFileSync(path('reason.txt'), line);
  } catch {
    // Nor can the reason be written down; the log will say that there is no module.
  }
}
if (reason !== undefined && !process.argv.includes('--if-possible')) {
  process.stderr.write(`the native addon was not built: ${reason}\n`);
  process.exitCode = 1;
}
