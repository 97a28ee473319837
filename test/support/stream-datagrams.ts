import { setTimeout as sleep } from 'node:timers/promises';
import { PseudoRandom } from './pseudo-random.ts';
import type { Destination } from './socks5-connect.ts';
import { Socks5DatagramClient } from './socks5-datagram-client.ts';

const PER_MILLISECOND = 2;
const TICK_MS = 5;
/** What is behind after a pause is not sent at once, which would be another test. */
const BURST_LIMIT = 4 * TICK_MS * PER_MILLISECOND;
const SILENCE_MS = 1_000;

/**
 * Sends datagrams to an echo as a call in RTP would, 2,000 a second and without waiting for an answer, and tells how many
 * came back.
 */
export async function streamDatagrams(
  socksPort: number,
  to: Destination,
  count: number,
  length: number,
): Promise<number> {
  const filler = new PseudoRandom('stream').take(length - 4);
  const datagram = (number: number) => {
    const payload = Buffer.alloc(length);
    payload.writeUInt32BE(number);
    payload.set(filler, 4);
    return payload;
  };

  const client = await Socks5DatagramClient.associate(socksPort);
  const echoed = new Set<number>();
  try {
    let failure: Error | undefined;
    client.onDatagram(
      ({ payload }) => {
        const number = payload.length < 4 ? -1 : payload.readUInt32BE();
        if (!payload.equals(datagram(number))) throw new Error('an echo is not what was sent');
        if (number >= sent || echoed.has(number))
          throw new Error(`an echo of datagram ${number}, which was not sent again`);
        echoed.add(number);
      },
      error => {
        failure ??= error;
      },
    );

    const start = performance.now();
    let sent = 0;
    while (sent < count && !failure) {
      const due = Math.min(count, Math.floor((performance.now() - start) * PER_MILLISECOND), sent + BURST_LIMIT);
      while (sent < due) client.send(to.host, to.port, datagram(sent++));
      await sleep(TICK_MS);
    }
    for (let before = -1; before < echoed.size && echoed.size < count && !failure; ) {
      before = echoed.size;
      await sleep(SILENCE_MS);
    }
    if (failure) throw failure;
    return echoed.size;
  } finally {
    client.close();
  }
}
