/** Adds one to a little-endian counter, in place. It cannot wrap: 2^96 operations outlive any stream. */
export function incrementNonce(nonce: Uint8Array): void {
  for (let at = 0; at < nonce.length; at++) {
    const next = nonce[at]! + 1;
    nonce[at] = next;
    if (next <= 0xff) return;
  }
}
