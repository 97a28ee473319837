import { METHOD_NAMES, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Answer, askInformation } from './ask-server.ts';
import type { ExaminedServer } from './examined-server.ts';

/**
 * Why a server says nothing that has taken the connection. It answers nobody who does not know its key, and with the methods of
 * 2022 nobody whose clock is more than 30 s away; so the same is tried as if the clock were another, and by other methods.
 */
export type Silence =
  | {
      readonly kind: 'clock' /** Seconds that ours is behind the server's. */;
      readonly behind: number;
      readonly answer: Answer;
    }
  | { readonly kind: 'method'; readonly method: Method }
  /** Key, password or user; or it speaks something else. */
  | { readonly kind: 'key' };

/** A few at a time: to the server they are strangers. */
const AT_A_TIME = 16;

/** Of each; the server has answered others sooner. */
const TIMEOUT_MS = 2_500;

/** So far a server's clock may be away. */
const WINDOW_S = 30;

export async function explainSilence(link: ExaminedServer): Promise<Silence> {
  const { method } = link.server;
  const attempts: (() => Promise<Silence | undefined>)[] = [];
  if (method.generation === 'sip022') {
    for (const offset of clockOffsets()) attempts.push(() => atOffset(link, offset));
  }
  for (const name of METHOD_NAMES) {
    const other = methodNamed(name);
    if (other !== method && hasSameKeys(other, method)) attempts.push(() => byMethod(link, other));
  }
  return (await firstFound(attempts)) ?? { kind: 'key' };
}

/** Of clocks that drift, up to ten minutes; of those that are in the wrong time zone, whole hours. */
function* clockOffsets(): Generator<number> {
  const step = 2 * WINDOW_S - 10;
  for (let offset = step; offset <= 600; offset += step) yield* [offset, -offset];
  for (let hours = 1; hours <= 14; hours++) yield* [hours * 3600, -hours * 3600];
}

async function atOffset(link: ExaminedServer, offset: number): Promise<Silence | undefined> {
  const { services } = link;
  const streams = clientStreams({ ...services, unixTime: () => services.unixTime() + offset });
  const answer = await heard(() => askInformation(link, '/v1/info', { streams, timeout: TIMEOUT_MS }));
  if (answer === undefined) return undefined;
  const { time } = (answer.body ?? {}) as { time?: unknown };
  const theirs = typeof time === 'string' ? Date.parse(time) / 1000 : Number.NaN;
  return { kind: 'clock', behind: Number.isNaN(theirs) ? offset : Math.round(theirs - services.unixTime()), answer };
}

/** Of the others the key is not known: only the password's own is kept. */
function hasSameKeys(other: Method, { generation, keyBytes }: Method): boolean {
  return other.generation === generation && other.keyBytes === keyBytes;
}

async function byMethod(link: ExaminedServer, method: Method): Promise<Silence | undefined> {
  const streams = clientStreams(streamServices(method, 'auto'));
  const answer = await heard(() => askInformation(link, '/v1/info', { streams, timeout: TIMEOUT_MS }));
  return answer && { kind: 'method', method };
}

async function heard(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PodsocksError) return undefined;
    throw error;
  }
}

async function firstFound<T>(attempts: readonly (() => Promise<T | undefined>)[]): Promise<T | undefined> {
  let next = 0;
  let found: T | undefined;
  const worker = async () => {
    while (found === undefined && next < attempts.length) {
      const heard = await attempts[next++]!();
      found ??= heard;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return found;
}
