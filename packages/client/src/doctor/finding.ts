import { printable } from '@podsocks/shared/runtime/printable';

/** What is looked at, in this order, and the exit code of a failure there. Codes are for scripts, so they stay as they are. */
export const STAGES = {
  configuration: 2,
  name: 10,
  tcp: 11,
  key: 12,
  clock: 13,
  extensions: 14,
  dns: 15,
  policy: 16,
  dial: 17,
  throughput: 18,
  route: 19,
} as const;

export type Stage = keyof typeof STAGES;

/** What was found at a stage. None of it holds a secret. */
export interface Finding {
  readonly stage: Stage;
  readonly result: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was seen. */
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
  /** Milliseconds that it took. */
  readonly took?: number;
}

/** What was found of one server. */
export interface Examination {
  /** `host:port`, and its name if it has one. */
  readonly server: string;
  readonly findings: readonly Finding[];
}

/** 0 when one server does all that was asked for, else that of the first server's failure. */
export function exitCodeOf(examinations: readonly Examination[]): number {
  const codes = examinations.map(({ findings }) => {
    const failed = findings.find(({ result }) => result === 'failed');
    return failed === undefined ? 0 : STAGES[failed.stage];
  });
  return codes.includes(0) ? 0 : (codes[0] ?? 0);
}

/** For what was found. */
export function messageOf(error: unknown): string {
  return shown(error instanceof Error ? error.message : String(error));
}

const MOST_CHARACTERS = 500;

/** What comes from a server has no end otherwise. */
export function shown(text: string): string {
  return printable(text).slice(0, MOST_CHARACTERS);
}
