import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { expect, it } from 'vitest';
import { replyOf } from './connect-status.ts';
import { DeniedError, refusalOf } from './sessions/refusal.ts';

const dialError = (code: string) =>
  new PodsocksError('ERR_DIAL', code, { cause: Object.assign(new Error(), { code }) });

it.each([
  [new DeniedError({ host: 'a', port: 1 }, 'rule 7'), 'notAllowed'],
  [dialError('ENETUNREACH'), 'networkUnreachable'],
  [dialError('EHOSTUNREACH'), 'hostUnreachable'],
  [dialError('ENOTFOUND'), 'hostUnreachable'],
  [dialError('ESERVFAIL'), 'hostUnreachable'],
  [dialError('ECONNREFUSED'), 'connectionRefused'],
  [dialError('ETIMEDOUT'), 'ttlExpired'],
  [new PodsocksError('ERR_TIMEOUT', 'late'), 'ttlExpired'],
  [dialError('EBUSY'), 'generalFailure'],
  [dialError('EMFILE'), 'generalFailure'],
  [new TypeError('a fault'), 'generalFailure'],
])('of %s', (error, expected) => {
  expect(replyOf(refusalOf(error).reason, error)).toBe(expected);
});
