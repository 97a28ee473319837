/**
 * Bounds how often something is reported, without losing count: the first event at once, later ones summed up.
 *
 * @param interval milliseconds between two reports.
 * @param report is given how many events there were since the last report, and the latest one.
 */
export function atMostEvery<Event>(
  interval: number,
  report: (count: number, latest: Event) => void,
): (event: Event) => void {
  let count = 0;
  let reportedAt = -Infinity;
  return event => {
    count++;
    const now = performance.now();
    if (now - reportedAt < interval) return;
    reportedAt = now;
    const sum = count;
    count = 0;
    report(sum, event);
  };
}
