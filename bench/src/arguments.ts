import { parseArgs } from 'node:util';

export interface Options {
  /** A run of under a minute that shows that everything works: its numbers are rough. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Names of measures; empty means all. */
  readonly only: readonly string[];
  /** Parts of contestants' labels; empty means all. */
  readonly contestants: readonly string[];
  /** Where the results are written to, as it was given; undefined where it was not. */
  readonly out: string | undefined;
}

/** Wrong usage, said in words for the terminal. */
export class UsageError extends Error {}

const ROUNDS = 5;
const QUICK_ROUNDS = 2;
const MOST_ROUNDS = 1000;

/**
 * What the command line asks for, or 'help'.
 *
 * @param measures the names that `--only` takes.
 * @throws UsageError
 */
export function parseArguments(args: readonly string[], measures: readonly string[]): Options | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const only = list('--only', values.only);
  const unknown = only.find(name => !measures.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`--only: there is no measure "${unknown}"; there are ${measures.join(', ')}`);
  }
  if (values.out === '') throw new UsageError('--out: a directory is missing');
  const quick = values.quick ?? false;
  return {
    quick,
    rounds: values.rounds === undefined ? (quick ? QUICK_ROUNDS : ROUNDS) : roundsOf(values.rounds),
    only,
    contestants: list('--contestants', values.contestants),
    out: values.out,
  };
}

/** Whether this leaves out something that a whole run measures. */
export function isPartial(options: Omit<Options, 'out'>): boolean {
  return options.quick || options.only.length > 0 || options.contestants.length > 0;
}

export function usage(measures: readonly string[]): string {
  return `usage: npm run bench -- [options]

  --quick                under a minute: fewer rounds, contestants and bytes; rough numbers
  --rounds N             how often everything is measured (default ${ROUNDS}; with --quick ${QUICK_ROUNDS})
  --only NAME,…          only these measures: ${measures.join(', ')}
  --contestants TEXT,…   only contestants whose label, like "aes-256-gcm: podsocks (native)", holds one of these
  --out DIR              where latest.json, latest.md and the charts go. Default: bench/results for a whole run,
                         nowhere for one with --quick, --only or --contestants
  --help

Other implementations are found on PATH and where bench/README.md says.
`;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        contestants: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function list(option: string, value: string | undefined): string[] {
  if (value === undefined) return [];
  const items = value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
  if (items.length === 0) throw new UsageError(`${option}: nothing is named`);
  return items;
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (/^\d+$/.test(text) && rounds >= 1 && rounds <= MOST_ROUNDS) return rounds;
  throw new UsageError(`--rounds: "${text}" is no number from 1 to ${MOST_ROUNDS}`);
}
