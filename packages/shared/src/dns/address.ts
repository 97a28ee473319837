/** An address that a name stands for. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
  /** The name that has it: what was asked for, as the search list completed it. */
  readonly name?: string;
}
