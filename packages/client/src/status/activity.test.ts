import { describe, expect, it } from 'vitest';
import { Activity } from './activity.ts';

describe('Activity', () => {
  const begun = () => {
    let now = 0;
    const activity = new Activity(() => now);
    return { activity, pass: (ms: number) => (now += ms) };
  };

  it('sums what is open and what has ended, once', () => {
    const { activity } = begun();
    const [one, two] = [activity.begin(), activity.begin()];
    one.traffic.bytesUp = 10;
    two.traffic.bytesDown = 5;
    expect(activity.status()).toMatchObject({ connections: { open: 2, total: 2 }, bytes: { up: 10, down: 5 } });
    one.close();
    one.close();
    expect(activity.status()).toMatchObject({ connections: { open: 1, total: 2 }, bytes: { up: 10, down: 5 } });
  });

  it('tells the rates of the last ten seconds at most', () => {
    const { activity, pass } = begun();
    const { traffic } = activity.begin();
    traffic.bytesUp = 1_000_000;
    for (let i = 0; i < 2; i++) {
      pass(5_000);
      activity.sample();
    }
    traffic.bytesUp += 10_000;
    pass(5_000);
    expect(activity.status().rates).toEqual({ up: 1_000, down: 0 });
    pass(5_000);
    activity.sample();
    pass(5_000);
    activity.sample();
    expect(activity.status().rates.up).toBe(0);
  });

  it('remembers the last failures, latest first', () => {
    const { activity } = begun();
    for (let i = 0; i < 30; i++) activity.failed({ target: `t${i}`, reason: 'no' });
    const { failures, connections } = activity.status();
    expect(failures.map(({ target }) => target)).toEqual(Array.from({ length: 20 }, (_, i) => `t${29 - i}`));
    expect(connections.failed).toBe(30);
  });
});
