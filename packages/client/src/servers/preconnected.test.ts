import type { Connection } from '@podsocks/shared/net/connection';
import { expect, it, onTestFinished } from 'vitest';
import { Preconnected } from './preconnected.ts';

it('what is being connected is given up when it is not wanted any more, however much', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const signals: AbortSignal[] = [];
  const dial = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<Connection>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const preconnected = new Preconnected({ size: 32, dial, now: () => 0 });
  preconnected.fill();
  expect(signals.map(({ aborted }) => aborted)).toEqual(Array(32).fill(false));
  preconnected.drop();
  expect(signals.map(({ aborted }) => aborted)).toEqual(Array(32).fill(true));
  preconnected.fill();
  expect(signals.filter(({ aborted }) => !aborted)).toHaveLength(32);
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
  expect(preconnected.length).toBe(0);
});
