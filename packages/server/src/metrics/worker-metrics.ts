import type { Registry } from 'prom-client';
import { counter } from './families.ts';
import { countersOf, merged, type ToldFamily } from './merged-families.ts';

/** A worker, as one asks it for its metrics. */
export interface Measurable {
  /** Asks; {@link WorkerMetrics.told} takes the answer. */
  measure(): void;
}

export interface WorkerMetricsOptions {
  /** The metrics of the primary itself. */
  readonly own: Registry;
  /** How long a worker has to answer, in milliseconds. */
  readonly patience: number;
}

/**
 * The metrics of all workers and of the primary as one page. Counters never go down: of a worker that has ended, or does not
 * answer, what it last told still counts. What it did after that is lost when it crashes.
 */
export class WorkerMetrics {
  /** Those of the primary itself. */
  readonly own: Registry;
  readonly #patience: number;
  /** With what each told last. */
  readonly #workers = new Map<Measurable, readonly ToldFamily[]>();
  /** The counters of all that have ended. */
  #ended: readonly ToldFamily[] = [];
  /** Who has not answered yet, and what to do when everybody has. */
  #asking: { readonly missing: Set<Measurable>; readonly done: () => void } | undefined;
  #failures = 0;

  constructor({ own, patience }: WorkerMetricsOptions) {
    this.own = own;
    this.#patience = patience;
    counter(
      own,
      { name: 'podsocks_worker_scrape_failures_total', help: 'How often a worker did not tell its metrics in time.' },
      () => [{ value: this.#failures }],
    );
  }

  /** It answers from now on. */
  add(worker: Measurable): void {
    this.#workers.set(worker, []);
  }

  /** It has ended. */
  async remove(worker: Measurable): Promise<void> {
    const last = this.#workers.get(worker);
    if (last === undefined) return;
    this.#workers.delete(worker);
    this.#answered(worker);
    const ended = [...this.#ended, ...countersOf(last)];
    this.#ended = ended;
    // However many end, what they leave is one of each; which takes a moment, in which another may have ended.
    const folded = await merged([ended]).getMetricsAsJSON();
    if (this.#ended === ended) this.#ended = folded;
  }

  /** Takes the answer to {@link Measurable.measure}. One that is late is knowledge all the same. */
  told(worker: Measurable, families: readonly ToldFamily[]): void {
    if (!this.#workers.has(worker)) return;
    this.#workers.set(worker, families);
    this.#answered(worker);
  }

  /** The page. To be asked for again when it has come, not before. */
  async page(): Promise<string> {
    const silent = await this.#ask();
    this.#failures += silent.size;
    const own = await this.own.getMetricsAsJSON();
    const told = [...this.#workers].map(([worker, last]) => (silent.has(worker) ? countersOf(last) : last));
    return merged([...told, own, this.#ended]).metrics();
  }

  /** @returns those that did not answer. */
  #ask(): Promise<ReadonlySet<Measurable>> {
    const missing = new Set(this.#workers.keys());
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer);
        this.#asking = undefined;
        resolve(missing);
      };
      const timer = setTimeout(done, this.#patience);
      this.#asking = { missing, done };
      for (const worker of missing) worker.measure();
      if (missing.size === 0) done();
    });
  }

  #answered(worker: Measurable): void {
    if (!this.#asking?.missing.delete(worker)) return;
    if (this.#asking.missing.size === 0) this.#asking.done();
  }
}
