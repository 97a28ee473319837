import { setTimeout as sleep } from 'node:timers/promises';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { expect, it, onTestFinished } from 'vitest';
import { firstToConnect } from './race.ts';
import type { ServerLink } from './server-link.ts';

it('waits for many servers at a time without a warning, and gives all of them up', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  let given = 0;
  const silent = {
    patience: 0,
    suspect() {},
    dial: (_timeout: number, signal: AbortSignal) =>
      new Promise((_, reject) => {
        given++;
        signal.addEventListener('abort', () => {
          given--;
          reject(new PodsocksError('ERR_CLOSED', 'given up'));
        });
      }),
  } as unknown as ServerLink;
  const giveUp = new AbortController();
  const reached = firstToConnect(Array(20).fill(silent), { timeout: 5_000, signal: giveUp.signal });
  await expect.poll(() => given).toBe(20);
  giveUp.abort();
  await expect(reached).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  await sleep(0);
  expect(given).toBe(0);
  expect(warnings).toEqual([]);
});
