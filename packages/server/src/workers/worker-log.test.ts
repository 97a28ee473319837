import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { createLogger, type LogLevel } from '@podsocks/shared/runtime/log';
import { expect, test } from 'vitest';
import { relayLog, workerLog } from './worker-log.ts';

/** The log of worker 3, and what comes of it on both sides. */
function setUp(level: LogLevel = 'info') {
  const [sent, written]: [string[], string[]] = [[], []];
  const destination = { write: (line: string) => void written.push(line) };
  const relay = relayLog(createLogger({ level, format: 'json', name: 'ss-test', destination }), 3);
  const log = workerLog(level, line => {
    sent.push(line);
    relay(line);
  });
  return { log, sent, written, last: () => JSON.parse(written.at(-1)!) };
}

test('a line is that of the primary, with the number of the worker', () => {
  const { log, last } = setUp();
  log.warn({ count: 2 }, 'refused');
  expect(last()).toEqual({
    level: 'warn',
    name: 'ss-test',
    worker: 3,
    count: 2,
    msg: 'refused',
    time: expect.stringMatching(/^\d{4}-/),
  });
});

test('an error comes through with type, code, stack and cause', () => {
  const { log, last } = setUp();
  log.fatal({ err: new PodsocksError('ERR_DIAL', 'no route', { cause: new Error('ENETUNREACH') }) }, 'ending');
  expect(last()).toMatchObject({
    level: 'fatal',
    err: { type: 'PodsocksError', code: 'ERR_DIAL', message: 'no route: ENETUNREACH', stack: expect.any(String) },
  });
});

test('what nobody wants to read, and what nobody may, is not sent', () => {
  const { log, sent } = setUp('info');
  log.debug('no');
  log.info({ config: { key: 'hunter2' } });
  expect(sent).toHaveLength(1);
  expect(sent[0]).not.toContain('hunter2');
});
