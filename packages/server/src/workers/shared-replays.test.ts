import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { SharedReplays } from './shared-replays.ts';

const salt = (fill: number) => new Uint8Array(32).fill(fill);

function setUp() {
  const asked: number[][] = [];
  const replays = new SharedReplays(salts => asked.push(salts.map(([first]) => first!)));
  return { asked, replays };
}

/** Whether it is settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), setImmediate(false)]);
}

describe('the salts of a worker', () => {
  it('pass at first, and go to the primary once in a turn of the event loop', async () => {
    const { asked, replays } = setUp();
    expect([1, 2, 3].map(fill => replays.add(salt(fill)))).toEqual(['fresh', 'fresh', 'fresh']);
    expect(asked).toEqual([]);
    await setImmediate();
    replays.add(salt(4));
    await setImmediate();
    expect(asked).toEqual([[1, 2, 3], [4]]);
  });

  it('get the verdicts of the primary, each its own', async () => {
    const { replays } = setUp();
    const salts = [salt(1), salt(1), salt(2)];
    for (const each of salts) replays.add(each);
    const verdicts = Promise.all(salts.map(each => replays.confirm(each)));
    await setImmediate();
    replays.answer(['fresh', 'replayed', 'full']);
    expect(await verdicts).toEqual(['fresh', 'replayed', 'full']);
  });

  it.each([
    ['had an answer', true],
    ['was asked about', false],
  ])('are not confirmed before all that were added are known to the primary, where the first %s', async (_, early) => {
    const { asked, replays } = setUp();
    const request = salt(1);
    replays.add(request);
    await setImmediate();
    if (early) replays.answer(['fresh']);
    replays.add(salt(2)); // that of the answer
    const verdict = replays.confirm(request);
    await setImmediate();
    expect(asked).toEqual([[1], [2]]);
    if (!early) replays.answer(['fresh']);
    expect(await settled(verdict)).toBe(false);
    replays.answer(['fresh']);
    expect(await verdict).toBe('fresh');
  });

  it('are confirmed at once when nothing is outstanding', async () => {
    const { replays } = setUp();
    const request = salt(1);
    replays.add(request);
    await setImmediate();
    replays.answer(['replayed']);
    expect(await replays.confirm(request)).toBe('replayed');
  });

  it('are never confirmed when they were never added', async () => {
    expect(await setUp().replays.confirm(salt(1))).toBeUndefined();
  });
});
