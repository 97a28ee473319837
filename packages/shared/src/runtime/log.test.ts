import { describe, expect, test } from 'vitest';
import { PodsocksError } from './errors.ts';
import { createLogger, type LogFormat, type LogLevel } from './log.ts';

function capture(format: LogFormat = 'json', level: LogLevel = 'info') {
  const lines: string[] = [];
  const log = createLogger({ level, format, name: 'ss-test', destination: { write: line => lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) };
}

describe('createLogger', () => {
  test('writes JSON with the level by name, the program and an ISO time', () => {
    const { log, last } = capture();
    log.info({ port: 8388 }, 'listening');
    expect(last()).toEqual({
      level: 'info',
      name: 'ss-test',
      port: 8388,
      msg: 'listening',
      time: expect.stringMatching(/^\d{4}-/),
    });
  });

  test.each(['password', 'key', 'psk', 'uri'])('redacts %s at every depth that a configuration has', field => {
    const { log, lines } = capture();
    const secret = 'hunter2';
    const binary = Uint8Array.from([104, 117, 110]);
    log.info({ [field]: secret });
    log.info({ config: { [field]: secret } });
    log.info({ config: { servers: [{ [field]: secret }] } });
    log.info({ servers: [{ keys: { [field]: secret } }], users: [{ name: 'alice', [field]: binary }] });
    log.child({ [field]: secret, config: { [field]: secret } }).info('from a child');
    log.info({ err: Object.assign(new Error('failed'), { config: { [field]: secret } }) });
    expect(lines).toHaveLength(6);
    for (const line of lines) {
      expect(line).toContain('[redacted]');
      expect(line).not.toContain('hunter2');
      expect(line).not.toContain('104');
    }
    expect(lines[3]).toContain('alice');
  });

  test('does not change the object that it was given', () => {
    const { log } = capture();
    const config = { users: [{ name: 'alice', password: 'hunter2' }] };
    log.info({ config });
    expect(config).toEqual({ users: [{ name: 'alice', password: 'hunter2' }] });
  });

  test('serialises err with code, stack and cause', () => {
    const { log, last } = capture();
    log.error({ err: new PodsocksError('ERR_DIAL', 'no route', { cause: new Error('ENETUNREACH') }) }, 'failed');
    expect(last().err).toMatchObject({ type: 'PodsocksError', code: 'ERR_DIAL', stack: expect.any(String) });
    expect(last().err.message).toContain('ENETUNREACH');
  });

  test('prints one readable line in pretty, before the call returns', () => {
    const { log, lines } = capture('pretty');
    log.info({ port: 8388, password: 'hunter2' }, 'listening');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/INFO.*listening.*port: 8388/s);
    expect(lines[0]).not.toContain('hunter2');
  });

  test('says nothing below its level, and nothing at all when silent', () => {
    const info = capture('json', 'info');
    info.log.debug('no');
    expect(info.lines).toEqual([]);
    const silent = capture('json', 'silent');
    silent.log.fatal('no');
    expect(silent.lines).toEqual([]);
  });
});
