import { randomFillSync } from 'node:crypto';

/** A call into OpenSSL's generator costs 2 µs, however little is asked for; a connection asks four times. */
const DRAWN_AT_ONCE = 4096;

const drawn = Buffer.allocUnsafeSlow(DRAWN_AT_ONCE);
let used = DRAWN_AT_ONCE;

/** Fresh, unpredictable bytes. Each is handed out once, and wiped here when it is. */
export function random(length: number): Uint8Array {
  if (length > DRAWN_AT_ONCE) return randomFillSync(new Uint8Array(length));
  if (used + length > DRAWN_AT_ONCE) {
    randomFillSync(drawn);
    used = 0;
  }
  const bytes = new Uint8Array(length);
  bytes.set(drawn.subarray(used, used + length));
  drawn.fill(0, used, used + length);
  used += length;
  return bytes;
}
