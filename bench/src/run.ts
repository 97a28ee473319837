import type { Context, Measure, MeasureResult, Sample, Subject } from './measures/measure.ts';
import { Progress, type Step } from './progress.ts';

interface Running {
  readonly measure: Measure;
  readonly subject: Subject;
  readonly samples: Sample[];
  failure: string | undefined;
}

/**
 * Measures everything once in every round: within a round measure by measure, within a measure all subjects in an order that is
 * drawn anew. A subject that fails is not tried again; the others go on.
 */
export async function runMeasures(
  measures: readonly Measure[],
  context: Context,
  rounds: number,
): Promise<MeasureResult[]> {
  const { quick } = context;
  const all = measures.map(measure => ({
    measure,
    rounds: Math.min(rounds, measure.mostRounds?.(quick) ?? rounds),
    running: measure
      .subjects(context)
      .map((subject): Running => ({ measure, subject, samples: [], failure: undefined })),
  }));
  const steps = all.flatMap(({ measure, rounds, running }) =>
    Array.from({ length: rounds }, (_, index) =>
      running.map(each => stepOf(each, index + 1, measure.secondsEach(quick))),
    ).flat(),
  );
  const progress = new Progress(steps, rounds);

  for (let round = 1; round <= rounds; round++) {
    for (const { measure, rounds: due, running } of all) {
      if (round > due) continue;
      for (const [index, each] of shuffled(running).entries()) {
        const step = stepOf(each, round, measure.secondsEach(quick));
        if (each.failure !== undefined) {
          progress.skip(step);
          continue;
        }
        progress.begin(step);
        const begun = performance.now();
        await sample(each, round, index + 1);
        progress.done(step, (performance.now() - begun) / 1000);
      }
    }
  }
  return all.map(({ measure, running }) => ({
    name: measure.name,
    title: measure.title,
    about: measure.about(quick),
    subjects: running.map(({ subject: { method, name }, samples, failure }) => ({
      method,
      name,
      samples,
      ...(failure !== undefined && { failure }),
    })),
  }));
}

async function sample(running: Running, round: number, position: number): Promise<void> {
  try {
    running.samples.push({ round, position, values: await running.subject.measure() });
  } catch (error) {
    running.failure = `round ${round}: ${(error as Error).message}`;
    console.error(`failed: ${running.failure}`);
  }
}

function stepOf({ measure, subject }: Running, round: number, seconds: number): Step {
  return { round, measure: measure.name, subject, seconds };
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[]): Item[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}
