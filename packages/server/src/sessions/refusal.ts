import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Refusal, RefusalReason } from './session.ts';

/** A target was denied; `rule` says by what. */
export class DeniedError extends PodsocksError {
  readonly rule: string;

  constructor(target: Parameters<typeof formatTarget>[0], rule: string) {
    super('ERR_DENIED', `${formatTarget(target)}: not allowed (${rule})`);
    this.rule = rule;
  }
}

/** Why a target was not reached, from what `dialTarget` threw. */
export function refusalOf(error: Error): Omit<Refusal, 'target'> {
  const { message } = error;
  if (error instanceof DeniedError) return { reason: 'policy', message, rule: error.rule };
  return { reason: reasonOf(error), message };
}

function reasonOf(error: Error): RefusalReason {
  if (!(error instanceof PodsocksError)) return 'other';
  if (error.code === 'ERR_TIMEOUT') return 'timeout';
  if (error.code === 'ERR_LIMIT') return 'limit';
  const { code = '' } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return REASONS[code] ?? 'other';
}

/** Of the system, of getaddrinfo, and of the resolver. */
const REASONS: Record<string, RefusalReason> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  EPERM: 'unreachable',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'name',
  ENODATA: 'name',
  EAI_AGAIN: 'name',
  ESERVFAIL: 'name',
  ETIMEOUT: 'name',
  EBUSY: 'limit',
  EMFILE: 'descriptors',
  ENFILE: 'descriptors',
};
