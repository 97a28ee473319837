/** What the policy says of one address. */
export interface Verdict {
  readonly allowed: boolean;
  /** What decided: where the rule is written, `default`, or `built in: …`. */
  readonly rule: string;
}

/** One that no rule has written. */
export function denial(reason: string): Verdict {
  return Object.freeze({ allowed: false, rule: `built in: ${reason}` });
}
