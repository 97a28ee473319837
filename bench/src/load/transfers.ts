import { COUNT_BYTES, decodeCount, encodeCount, type Route, type Timing, type Transfer } from './commands.ts';
import { sendBytes } from './sending.ts';
import { Stream } from './stream.ts';

/** More than any run comes to, and exact in a number. */
const ENDLESS_BYTES = 2 ** 50;

/** Timed from the requests, all connections being open, to the last byte. Fails unless each stream had its exact share. */
export async function download({ route, streams, bytes }: Transfer): Promise<Timing> {
  const share = bytes / streams;
  return overStreams(route, streams, async opened => {
    const begun = performance.now();
    for (const { socket } of opened) socket.write(encodeCount(share));
    await Promise.all(opened.map(stream => stream.skip(share)));
    const seconds = secondsSince(begun);
    await Promise.all(opened.map(stream => stream.end()));
    return { seconds };
  });
}

/** Timed until the sink has said of every stream that it has its exact share. */
export async function upload({ route, streams, bytes }: Transfer): Promise<Timing> {
  const share = bytes / streams;
  return overStreams(route, streams, async opened => {
    const begun = performance.now();
    const confirmed = opened.map(async stream => {
      const confirmation = await stream.read(COUNT_BYTES);
      const received = decodeCount(confirmation);
      if (received !== share) throw new Error(`the sink received ${received} of ${share} bytes`);
    });
    for (const { socket } of opened) {
      socket.write(encodeCount(share));
      sendBytes(socket, share, () => {});
    }
    await Promise.all(confirmed);
    return { seconds: secondsSince(begun) };
  });
}

let load: { readonly stream: Stream; readonly begun: number; bytes: number } | undefined;

/** A download in the background; returns when its first bytes are there. */
export async function startLoad({ route }: { route: Route }): Promise<null> {
  const stream = await Stream.open(route);
  const running = { stream, begun: performance.now(), bytes: 0 };
  load = running;
  stream.socket.write(encodeCount(ENDLESS_BYTES));
  await stream.receiveUntil(() => true);
  stream
    .receiveUntil(bytes => {
      running.bytes += bytes.length;
      return false;
    })
    .catch(() => {}); // stopLoad ends it; a pair that fails is noticed by whoever measures
  return null;
}

export async function stopLoad(): Promise<Timing & { bytes: number }> {
  const { stream, begun, bytes } = load!;
  if (stream.socket.destroyed) throw new Error(`the download in the background broke off after ${bytes} bytes`);
  stream.socket.destroy();
  return { bytes, seconds: secondsSince(begun) };
}

async function overStreams<Result>(route: Route, streams: number, work: (opened: Stream[]) => Promise<Result>) {
  const opened = await Promise.all(Array.from({ length: streams }, () => Stream.open(route)));
  try {
    return await work(opened);
  } finally {
    for (const { socket } of opened) socket.destroy();
  }
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
