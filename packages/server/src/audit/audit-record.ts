import type { Refusal, Route, Session, SessionEnd } from '../sessions/session.ts';

/*
 * One record is one line of JSON. Its fields are documented in docs/audit.md, and stable: others search for them. What a
 * client can choose in it (a name) is bounded by the protocol, what an operator can (names of users, rules) is cut.
 */

/** The longest text of a field. No name of DNS is longer. */
const MOST_CHARACTERS = 256;

/** A session has reached its target; of an association: the first one. */
export function openedRecord(session: Session): string {
  return line('opened', session, placeOf(session.routes[0]!));
}

/** A session was refused, or one of the targets of an association. */
export function refusedRecord(session: Session, { target, reason, message, rule }: Refusal): string {
  return line('refused', session, {
    target: clipped(target?.host),
    port: target?.port,
    rule: clipped(rule),
    reason,
    message: clipped(message),
  });
}

/** A session that was opened has ended. */
export function closedRecord(session: Session, end: SessionEnd): string {
  const { routes, traffic, request } = session;
  const isAssociation = request.target === undefined;
  return line('closed', session, {
    ...placeOf(routes[0]!),
    ...(isAssociation && { targets: routes.map(placeOf), more_targets: session.hasMoreRoutes }),
    bytes_up: traffic.bytesUp,
    bytes_down: traffic.bytesDown,
    duration_ms: Math.round(session.age),
    end,
  });
}

/** Records could not be written. */
export function lostRecord(count: number): string {
  return serialised({ time: new Date().toISOString(), event: 'lost', count });
}

function line(event: string, { id, request }: Session, what: Readonly<Record<string, unknown>>): string {
  const { user, client, protocol, overTcp } = request;
  return serialised({
    time: new Date().toISOString(),
    event,
    session: id,
    user: clipped(user),
    client_address: client.address,
    client_port: client.port,
    protocol,
    transport: overTcp ? 'tcp' : undefined,
    ...what,
  });
}

function placeOf({ target, address, port, rule }: Route): Record<string, unknown> {
  return { target: clipped(target.host), port, address, rule: clipped(rule) };
}

/**
 * Beyond what JSON escapes: controls, marks that turn the direction of writing, and separators that some take for the end of
 * a line. Escaped they are the same text to whoever reads the JSON, and harmless in a terminal.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function serialised(record: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(record).replace(UNSEEN, escaped)}\n`;
}

function escaped(character: string): string {
  return character
    .split('')
    .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

function clipped(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= MOST_CHARACTERS) return text;
  return `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
