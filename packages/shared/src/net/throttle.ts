/** Holds back what would go too fast. It may be that of several relays. */
export interface Throttle {
  /**
   * Counts plaintext that has gone through.
   *
   * @returns whether more may follow; if not, the caller has to {@link wait}.
   */
  pass(bytes: number): boolean;
  /** Calls {@link Throttled.proceed} once, when more may follow. */
  wait(throttled: Throttled): void;
  /** It does not wait any more, if it did. */
  leave(throttled: Throttled): void;
}

export interface Throttled {
  proceed(): void;
}
