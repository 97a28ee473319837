/**
 * The process that seals and opens with one crypto backend and nothing else: `cipher-process NAME MILLISECONDS`, where the
 * time is that of one operation at one size. Its parent is told the speeds.
 */
import { randomBytes } from 'node:crypto';
import type { AeadContext } from '@podsocks/shared/crypto/aead';
import { BACKENDS } from '@podsocks/shared/crypto/backends';
import { METHODS, TAG_BYTES } from '@podsocks/shared/crypto/methods';
import { type CipherSpeed, SIZES } from './cipher-speed.ts';

/** Operations between two looks at the clock take about this long. */
const BATCH_MS = 1;
const WARM_UP_PART = 0.3;

function run(operation: (count: number) => void, milliseconds: number): number {
  let batch = 1;
  let operations = 0;
  let elapsed = 0;
  const begun = performance.now();
  do {
    const before = elapsed;
    operation(batch);
    operations += batch;
    elapsed = performance.now() - begun;
    if (elapsed - before < BATCH_MS) batch *= 2;
  } while (elapsed < milliseconds);
  return (elapsed * 1e6) / operations;
}

/** Nanoseconds of one operation. */
function timed(operation: (count: number) => void, milliseconds: number): number {
  run(operation, milliseconds * WARM_UP_PART);
  return run(operation, milliseconds);
}

function sealing(context: AeadContext, bytes: number): (count: number) => void {
  const input = randomBytes(bytes);
  const out = Buffer.alloc(bytes + TAG_BYTES);
  return count => {
    for (let done = 0; done < count; done++) context.seal(out, 0, input, 0, bytes);
  };
}

/** Opens the same bytes again and again: the nonce is set back each time, which is part of what is timed. */
function opening(context: AeadContext, bytes: number, nonce: Uint8Array): (count: number) => void {
  const sealed = Buffer.alloc(bytes + TAG_BYTES);
  const out = Buffer.alloc(bytes);
  context.setNonce(nonce);
  context.seal(sealed, 0, randomBytes(bytes), 0, bytes);
  return count => {
    for (let done = 0; done < count; done++) {
      context.setNonce(nonce);
      if (!context.open(out, 0, sealed, 0, bytes)) throw new Error('what was sealed does not open');
    }
  };
}

const [name, milliseconds] = process.argv.slice(2);
const backend = BACKENDS.find(candidate => candidate.name === name)!;
const primitives = new Map(METHODS.map(method => [method.aead, method]));
const speeds: CipherSpeed[] = [];
for (const { aead, keyBytes, nonceBytes } of primitives.values()) {
  if (!backend.supports(aead)) continue;
  const context = backend.create(aead, randomBytes(keyBytes));
  for (const bytes of SIZES) {
    const seal = timed(sealing(context, bytes), Number(milliseconds));
    const open = timed(opening(context, bytes, new Uint8Array(nonceBytes)), Number(milliseconds));
    speeds.push({ aead, bytes, operation: 'seal', nanoseconds: seal });
    speeds.push({ aead, bytes, operation: 'open', nanoseconds: open });
  }
  context.close();
}
process.send!(speeds);
process.disconnect();
