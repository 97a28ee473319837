import { afterAll } from 'vitest';

/**
 * Something that all tests of a suite share: started by the first that asks, closed after the last. Unlike in a
 * beforeAll, a start that fails makes the tests fail, not merely be left out.
 */
export function suiteResource<T extends { close(): Promise<void> }>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  afterAll(async () => {
    const resource = await started?.catch(() => undefined);
    await resource?.close();
  });
  return () => {
    started ??= start();
    return started;
  };
}
