/**
 * Calls the addon, built with AddressSanitizer and UndefinedBehaviorSanitizer, with random arguments for a while. An access
 * beyond a buffer ends the process with a report; so does a call that a model in JavaScript would have answered otherwise.
 *
 *   npm run fuzz:native [-- seconds [seed]]
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, findCompiler } from './compile.mjs';

const [seconds = '20', seed = String(randomInt(1, 2 ** 31))] = process.argv.slice(2);
const CALLS = fileURLToPath(new URL('fuzz-calls.mjs', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'podsocks-fuzz-'));
try {
  process.exitCode = run(join(folder, 'aead.node'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(output) {
  const reason = compile(output, ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']);
  if (reason !== undefined) throw new Error(reason);
  const env = {
    ...process.env,
    LD_PRELOAD: sanitizerRuntime().join(' '),
    ASAN_OPTIONS: 'detect_leaks=0', // node itself leaves much to the end of the process
  };
  const args = ['--expose-gc', CALLS, output, seconds, seed];
  return spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;
}

/** The libraries that `node`, which was built without a sanitizer, has to load first. clang has one for both. */
function sanitizerRuntime() {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
  const find = name => spawnSync(findCompiler(), [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
  const ofClang = [find(`libclang_rt.asan-${machine}.so`), find('libclang_rt.asan.so')].find(isAbsolute);
  const runtime = ofClang === undefined ? [find('libasan.so'), find('libubsan.so')] : [ofClang];
  if (!runtime.every(isAbsolute)) throw new Error(`${findCompiler()} has no libraries of its sanitizers`);
  return runtime;
}
