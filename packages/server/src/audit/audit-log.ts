import type { SessionObserver } from '../sessions/session.ts';
import { closedRecord, openedRecord, refusedRecord } from './audit-record.ts';

/** Takes records, each a line with its end. */
export interface AuditSink {
  /** Never blocks and never throws. What cannot be written is lost, and counted. */
  write(line: string): void;
  /** Resolves when what was taken is written, or could not be. Nothing is taken any more. */
  close(): Promise<void>;
}

/** Makes a record of everything that users do. */
export function auditLog(sink: Pick<AuditSink, 'write'>): Required<SessionObserver> {
  return {
    opened: session => sink.write(openedRecord(session)),
    refused: (session, refusal) => sink.write(refusedRecord(session, refusal)),
    closed: (session, end) => sink.write(closedRecord(session, end)),
  };
}
