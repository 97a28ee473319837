import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from '../contestants.ts';
import { Load } from '../load/load.ts';
import { Pair } from '../pair.ts';
import type { Context, Subject, Values } from './measure.ts';

/** Programs that were just started, and load for them. */
export interface Arena {
  readonly load: Load;
  /** Undefined where load and target are joined directly. */
  readonly pair: Pair | undefined;
}

type Work = (arena: Arena) => Promise<Values>;

/** Longer than anything takes here: whoever is not done by then hangs. */
const DEADLINE_S = 300;
/** The end of a process may be noticed later than that of its connections, and says more. */
const LAST_WORDS_MS = 300;

/** The same connections without a proxy: what the machine and the load generator cost by themselves. */
const DIRECT = { method: 'no proxy', name: 'direct' } as const;

/**
 * Subjects that do the same work through every contestant, each time through processes that were just started.
 *
 * @param udp whether these relay datagrams, too.
 */
export function subjectsOf(context: Context, contestants: readonly Contestant[], work: Work, udp = false): Subject[] {
  return contestants.map(contestant => ({
    method: contestant.method,
    name: contestant.name,
    measure: () => withLoad(context, load => throughPair(contestant, context, udp, load, work)),
  }));
}

/** The subject that does this work without a proxy. */
export function directSubject(context: Context, work: Work): Subject {
  return { ...DIRECT, measure: () => withLoad(context, load => limited(work({ load, pair: undefined }))) };
}

export function isDirect({ method }: { readonly method: string }): boolean {
  return method === DIRECT.method;
}

async function withLoad(context: Context, work: (load: Load) => Promise<Values>): Promise<Values> {
  const load = await Load.start(context.pinning.load);
  try {
    return await work(load);
  } finally {
    await load.stop();
  }
}

async function throughPair(
  contestant: Contestant,
  context: Context,
  udp: boolean,
  load: Load,
  work: Work,
): Promise<Values> {
  const pair = await Pair.start(contestant, context, udp);
  try {
    return await Promise.race([limited(work({ load, pair })), pair.failure()]);
  } catch (error) {
    await Promise.race([pair.failure(), sleep(LAST_WORDS_MS)]);
    throw error;
  } finally {
    await pair.stop();
  }
}

async function limited(work: Promise<Values>): Promise<Values> {
  const abort = new AbortController();
  const deadline = sleep(DEADLINE_S * 1000, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`not done after ${DEADLINE_S} s`);
  });
  deadline.catch(() => {}); // it is aborted when the work is done
  try {
    return await Promise.race([work, deadline]);
  } finally {
    abort.abort();
  }
}
