/**
 * Bounds how often something is reported, without losing count: the first event at once, those after it summed up when the
 * interval is over.
 *
 * @param interval milliseconds between two reports.
 * @param report is given how many events there were since the last report, and the latest one.
 */
export function atMostEvery<Event>(
  interval: number,
  report: (count: number, latest: Event) => void,
): (event: Event) => void {
  let count = 0;
  let latest: Event;
  let waiting = false;
  const tell = () => {
    const sum = count;
    count = 0;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      if (count > 0) tell();
    }, interval).unref();
    report(sum, latest);
  };
  return event => {
    count++;
    latest = event;
    if (!waiting) tell();
  };
}
