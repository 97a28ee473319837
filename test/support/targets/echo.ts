import { startTarget, type Target } from './target.ts';

/** Sends back what it gets, and ends when the other side does. */
export function startEcho(hosts?: readonly string[], port?: number): Promise<Target> {
  return startTarget(
    async connection => {
      for (let bytes = await connection.read(); bytes !== undefined; bytes = await connection.read()) {
        await connection.send(bytes);
      }
    },
    hosts,
    port,
  );
}
