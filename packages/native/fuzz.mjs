/**
 * Calls the addon, built with AddressSanitizer, with random arguments for a while: an access beyond a buffer ends the process
 * with a report.
 *
 *   npm run fuzz:native [-- seconds]
 */
import { spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.mjs';

const [seconds = '20', addonPath] = process.argv.slice(2);

if (addonPath === undefined) process.exitCode = runUnderSanitizer();
else await fuzz(addonPath, Number(seconds));

function runUnderSanitizer() {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-fuzz-'));
  try {
    const output = join(folder, 'aead.node');
    const reason = compile(output, ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']);
    if (reason !== undefined) throw new Error(reason);
    const library = name => spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
    const env = {
      ...process.env,
      LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
      ASAN_OPTIONS: 'detect_leaks=0', // node itself leaves much to the end of the process
    };
    const args = ['--expose-gc', fileURLToPath(import.meta.url), seconds, output];
    return spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fuzz(path, limit) {
  const { AeadContext } = createRequire(import.meta.url)(path);
  const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-192-gcm': 24, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 };
  const NUMBERS = [0, 1, -1, 15, 16, 17, 0.5, NaN, Infinity, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, -0];
  const number = () => (randomInt(4) === 0 ? NUMBERS[randomInt(NUMBERS.length)] : randomInt(80));
  const bytes = () => new Uint8Array(randomBytes(randomInt(96)));
  const view = () =>
    [bytes, bytes, bytes, () => Buffer.from(bytes()), () => new Uint16Array(8), number][randomInt(6)]();
  const pick = list => list[randomInt(list.length)];

  let calls = 0;
  let refused = 0;
  let contexts = [];
  for (const end = Date.now() + limit * 1000; Date.now() < end; calls++) {
    while (contexts.length < 50) {
      const [aead, keyBytes] = pick(Object.entries(KEY_BYTES));
      contexts.push(new AeadContext(aead, randomBytes(keyBytes)));
    }
    if (calls % 20_000 === 0) {
      contexts = contexts.slice(-Math.ceil(contexts.length / 2)); // the collector frees the others, closed and open ones
      globalThis.gc();
      await new Promise(setImmediate); // finalizers wait for a turn of the event loop
    }
    const context = pick(contexts);
    if (randomInt(2) === 0) {
      // What is well formed, at the very end of its buffers, where one byte too many would be seen.
      const length = randomInt(200);
      const [outAt, inAt] = [randomInt(40), randomInt(40)];
      const [extraOut, extraIn] = randomInt(2) === 0 ? [16, 0] : [0, 16];
      const [out, input] = [new Uint8Array(outAt + length + extraOut), new Uint8Array(inAt + length + extraIn)];
      try {
        context[extraOut === 16 ? 'seal' : 'open'](out, outAt, input, inAt, length);
      } catch (error) {
        if (error.message !== 'the AeadContext is closed') throw error;
        contexts.splice(contexts.indexOf(context), 1);
      }
      continue;
    }
    try {
      const same = view();
      const other = randomInt(5) === 0 ? same : view();
      const call = randomInt(100);
      if (call < 45) context.seal(same, number(), other, number(), number());
      else if (call < 90) context.open(same, number(), other, number(), number());
      else if (call < 97) context.setNonce(randomInt(2) ? randomBytes(12) : view());
      else if (call < 98) context.close();
      else new AeadContext(pick([...Object.keys(KEY_BYTES), 'x', 1]), view());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refused++;
    }
  }
  console.log(`${calls} calls, ${refused} of them refused; no finding`);
}
