import type { LinkHealth } from './link-health.ts';
import type { Listeners } from './listeners.ts';

export interface AwaitOptions {
  readonly links: () => readonly { readonly health: LinkHealth }[];
  /** Is called whenever a probe has ended. */
  readonly heard: Listeners<void>;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits, while no server is known to be healthy, for the first one that is, or until all have been heard of: at the start, and
 * after a sleep, what merely accepts connections must not get a request. Resolves when the time is over as well.
 */
export function awaitHealthy({ links, heard, timeout, signal }: AwaitOptions): Promise<void> {
  const isOpen = () => {
    const states = links().map(({ health }) => health.state);
    return states.includes('unknown') && !states.includes('healthy');
  };
  if (timeout <= 0 || !isOpen() || signal?.aborted) return Promise.resolve();
  return new Promise(resolve => {
    const finish = () => {
      stop();
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const stop = heard.add(() => {
      if (!isOpen()) finish();
    });
    const timer = setTimeout(finish, timeout);
    signal?.addEventListener('abort', finish);
  });
}
