import { type ErrorCode, PodsocksError } from '@podsocks/shared/runtime/errors';
import { expect, it } from 'vitest';
import { StrangerCounts, type StrangerReason } from './stranger-counts.ts';

const CODES: readonly [ErrorCode, StrangerReason][] = [
  ['ERR_AUTHENTICATION', 'authentication'],
  ['ERR_HEADER', 'header'],
  ['ERR_ADDRESS', 'header'],
  ['ERR_REPLAY', 'replay'],
  ['ERR_TIMESTAMP', 'timestamp'],
  ['ERR_TRUNCATED', 'truncated'],
  ['ERR_CLOSED', 'truncated'],
  ['ERR_TIMEOUT', 'timeout'],
  ['ERR_LIMIT', 'limit'],
  ['ERR_CONFIG', 'other'],
];

it.each(CODES)('%s counts as %s, once', (code, reason) => {
  const counts = new StrangerCounts();
  counts.refuse(new PodsocksError(code, ''));
  expect(Object.entries(counts.refused).filter(([, count]) => count > 0)).toEqual([[reason, 1]]);
});

it('a fault of ours is something else', () => {
  const counts = new StrangerCounts();
  counts.refuse(new TypeError('x'));
  counts.refuse(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  expect(counts.refused.other).toBe(2);
});
