import type { Answer, Parameters, Route } from './commands.ts';
import { Stream } from './stream.ts';

const ONE_BYTE = Buffer.alloc(1, 7);
/** Of idle connections, how many are opened at a time. */
const AT_ONCE = 50;

/** Connections that stay open until this process ends. */
const idle: Stream[] = [];

/** Timed from the first connection to the last byte of the last. */
export async function exchange(parameters: Parameters<'exchange'>): Promise<Answer<'exchange'>> {
  const { route, connections, parallel, bytes } = parameters;
  const block = Buffer.alloc(bytes, 7);
  let left = connections;
  const begun = performance.now();
  const lane = async () => {
    while (left-- > 0) (await exchangeOnce(route, block)).socket.destroy();
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return { seconds: (performance.now() - begun) / 1000 };
}

/** How long each took, from connecting to the byte that came back. */
export async function ping({ route, count }: Parameters<'ping'>): Promise<Answer<'ping'>> {
  const milliseconds: number[] = [];
  for (let done = 0; done < count; done++) {
    const begun = performance.now();
    const { socket } = await exchangeOnce(route, ONE_BYTE);
    milliseconds.push(performance.now() - begun);
    socket.destroy();
  }
  return { milliseconds };
}

export async function openIdle({ route, count }: Parameters<'openIdle'>): Promise<null> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - opened) }, () => exchangeOnce(route, ONE_BYTE));
    idle.push(...(await Promise.all(some)));
  }
  return null;
}

async function exchangeOnce(route: Route, block: Buffer): Promise<Stream> {
  const stream = await Stream.open(route);
  try {
    stream.socket.write(block);
    await stream.read(block.length);
    return stream;
  } catch (error) {
    stream.socket.destroy();
    throw error;
  }
}
