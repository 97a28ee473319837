import { type Refusal, Session, type SessionEnd, type SessionRequest } from './session.ts';

/** What an observer of a session heard, in order. */
export type Heard =
  | { readonly event: 'opened' }
  | { readonly event: 'refused'; readonly refusal: Refusal }
  | { readonly event: 'closed'; readonly end: SessionEnd };

/** A session of Alice's, and all that its observer hears. */
export function recordedSession(request: Partial<SessionRequest> = {}, stop = () => {}) {
  const heard: Heard[] = [];
  const client = { address: '192.0.2.1', port: 40_000 };
  const session = new Session(
    'test-1',
    { user: 'alice', client, protocol: 'udp', target: undefined, ...request },
    { bytesUp: 0, bytesDown: 0 },
    stop,
    [
      {
        opened: () => void heard.push({ event: 'opened' }),
        refused: (_, refusal) => void heard.push({ event: 'refused', refusal }),
        closed: (_, end) => void heard.push({ event: 'closed', end }),
      },
    ],
    () => {},
  );
  return { session, heard };
}
