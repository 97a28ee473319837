import type { SubjectName } from './measures/measure.ts';

/** A step that is due: what it is and how long it takes, in seconds, as far as that is known beforehand. */
export interface Step {
  readonly round: number;
  readonly measure: string;
  readonly subject: SubjectName;
  readonly seconds: number;
}

/** Says on stderr what is being measured and how long all of it still takes. */
export class Progress {
  readonly #rounds: number;
  readonly #steps: number;
  #left: number;
  #estimated = 0;
  #elapsed = 0;
  #done = 0;

  constructor(steps: readonly Step[], rounds: number) {
    this.#rounds = rounds;
    this.#steps = steps.length;
    this.#left = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  }

  begin({ round, measure, subject }: Step): void {
    const place = `${this.#done + 1}/${this.#steps}`.padStart(`${this.#steps}`.length * 2 + 1);
    const label = [subject.method, subject.name].filter(part => part !== '').join(': ');
    console.error(
      `[${place}] round ${round} of ${this.#rounds}, about ${words(this.secondsLeft())} left  ${measure.padEnd(11)} ${label}`,
    );
  }

  /** @param elapsed what it really took, in seconds. */
  done(step: Step, elapsed: number): void {
    this.skip(step);
    this.#estimated += step.seconds;
    this.#elapsed += elapsed;
  }

  skip({ seconds }: Step): void {
    this.#done++;
    this.#left -= seconds;
  }

  /** What is left, corrected by how far off the estimates were so far. */
  secondsLeft(): number {
    return this.#left * (this.#estimated > 0 ? this.#elapsed / this.#estimated : 1);
  }
}

function words(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
