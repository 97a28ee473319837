import type { Target } from '@podsocks/shared/wire/address';
import type { Decision } from '../routing/router.ts';
import type { KnownServer } from '../servers/known-server.ts';
import type { ExaminedServer } from './examined-server.ts';
import type { Finding } from './finding.ts';

export interface ExamineOptions {
  readonly link: ExaminedServer;
  /** What a program would like to reach, if anybody has said so. */
  readonly target: Target | undefined;
  /** Which way ss-local would take to a target, and by which name, when the server has said this of itself, or nothing. */
  readonly wayTo?: (target: Target, known: KnownServer | undefined) => Decision;
  /** Is given each finding as it is found. */
  readonly report: (finding: Finding) => void;
}
