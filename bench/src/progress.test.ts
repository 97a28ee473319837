import { expect, it } from 'vitest';
import { Progress } from './progress.ts';

const step = (seconds: number) => ({ round: 1, measure: 'bulk', subject: { method: '', name: 'x' }, seconds });

it('believes the estimates at first and corrects them by what steps really take', () => {
  const steps = [step(10), step(20), step(30)];
  const progress = new Progress(steps, 1);
  expect(progress.secondsLeft()).toBe(60);
  progress.done(steps[0]!, 5);
  expect(progress.secondsLeft()).toBe(25);
  progress.done(steps[1]!, 25);
  expect(progress.secondsLeft()).toBe(30);
});

it('learns nothing from steps that are skipped', () => {
  const steps = [step(10), step(20)];
  const progress = new Progress(steps, 1);
  progress.skip(steps[0]!);
  expect(progress.secondsLeft()).toBe(20);
});
