import type { StreamSealer } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { expect, it } from 'vitest';
import { replyOf, sendStatus } from './connect-status.ts';
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

it('of what has no address says so, and nothing longer', () => {
  const written: Uint8Array[] = [];
  const connection = { socket: { write: (bytes: Uint8Array) => written.push(bytes) } } as unknown as Connection;
  const sealer: StreamSealer = {
    sealedLength: length => length,
    seal: (out, at, input, from, length) => {
      out.set(input.subarray(from, from + length), at);
      return length;
    },
    close() {},
  };
  sendStatus(connection, sealer, 'succeeded', { address: 'a-name-that-is-long.localhost', port: 80 });
  sendStatus(connection, sealer, 'succeeded', { address: '10.0.0.1', port: 80 });
  expect(written.map(bytes => Buffer.from(bytes).toString('hex'))).toEqual(['0001000000000000', '00010a0000010050']);
});
