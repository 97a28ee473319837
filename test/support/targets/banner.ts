import { startTarget, type Target } from './target.ts';

export const BANNER = '220 podsocks test target\r\n';
export const QUIT = 'QUIT\r\n';
export const FAREWELL = '221 bye\r\n';

/** Speaks first, as SMTP, SSH and MySQL do. */
export function startBanner(): Promise<Target> {
  return startTarget(async connection => {
    await connection.send(BANNER);
    await connection.take(QUIT.length);
    await connection.send(FAREWELL);
  });
}
