/**
 * One answer for all who ask at the same time, or soon after: however often somebody asks, the work is bounded.
 *
 * @param produce finds the answer. When it fails, all who wait are told, and the next one has it tried again.
 * @param keepMs for how long the answer holds, in milliseconds.
 * @param now a clock that never steps back, in milliseconds.
 */
export function remembered<T>(
  produce: () => Promise<T>,
  keepMs: (answer: T) => number,
  now: () => number = () => performance.now(),
): () => Promise<T> {
  let until = Number.NEGATIVE_INFINITY;
  let last: T;
  let pending: Promise<T> | undefined;
  return async () => {
    if (now() < until) return last;
    pending ??= produce().finally(() => {
      pending = undefined;
    });
    const answer = await pending;
    last = answer;
    until = now() + keepMs(answer);
    return answer;
  };
}
