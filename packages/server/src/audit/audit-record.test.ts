import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import { type Route, Session, type SessionRequest } from '../sessions/session.ts';
import { auditLog } from './audit-log.ts';

const client = { address: '192.0.2.1', port: 40_000 };
const ANY_TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/** A session, and the lines that were written of it. */
function audited(request: Partial<SessionRequest> = {}) {
  const lines: string[] = [];
  const traffic = { bytesUp: 0, bytesDown: 0 };
  const asked = { user: 'ada', client, protocol: 'tcp', target: targetOf('web.default', 80), ...request } as const;
  const observers = [auditLog({ write: line => void lines.push(line) })];
  const session = new Session(
    'ab-1',
    asked,
    traffic,
    () => {},
    observers,
    () => {},
  );
  return { session, traffic, lines, records: () => lines.map(line => JSON.parse(line)) };
}

const route = (host: string, address: string, port = 80, rule = 'default'): Route => {
  return { target: targetOf(host, port), address, port, rule };
};

const COMMON = { time: ANY_TIME, session: 'ab-1', user: 'ada', client_address: '192.0.2.1', client_port: 40_000 };

describe('records', () => {
  it('of a connection', () => {
    const { session, traffic, records } = audited();
    session.reached(route('web.default', '10.96.0.10', 80, '--allow 10.96.0.0/12'));
    traffic.bytesUp = 78;
    traffic.bytesDown = 2 ** 40;
    session.close('target');
    const place = { target: 'web.default', port: 80, address: '10.96.0.10', rule: '--allow 10.96.0.0/12' };
    expect(records()).toEqual([
      { ...COMMON, event: 'opened', protocol: 'tcp', ...place },
      {
        ...{ ...COMMON, event: 'closed', protocol: 'tcp', ...place },
        ...{ bytes_up: 78, bytes_down: 2 ** 40, duration_ms: expect.any(Number), end: 'target' },
      },
    ]);
    expect(Number.isInteger(records()[1].duration_ms)).toBe(true);
  });

  it('of a refusal', () => {
    const { session, records } = audited();
    const target = targetOf('web.default', 80);
    session.refused({ reason: 'policy', message: 'web.default:80: not allowed (rule 7)', target, rule: 'rule 7' });
    session.close('shutdown');
    expect(records()).toEqual([
      {
        ...{ ...COMMON, event: 'refused', protocol: 'tcp', target: 'web.default', port: 80, rule: 'rule 7' },
        ...{ reason: 'policy', message: 'web.default:80: not allowed (rule 7)' },
      },
    ]);
  });

  it('of a refusal that is about no target', () => {
    const { session, lines } = audited({ target: undefined });
    session.refused({ reason: 'limit', message: 'too many', target: undefined });
    expect(Object.keys(JSON.parse(lines[0]!))).not.toContain('target');
  });

  it('of an association, with all that it reached', () => {
    const { session, records } = audited({ protocol: 'udp', target: undefined, overTcp: true });
    session.reached(route('10.0.0.1', '10.0.0.1', 53));
    session.reached(route('dns', '10.0.0.2', 5353, 'rule 7'));
    session.close('client');
    const [opened, closed] = records();
    const first = { target: '10.0.0.1', port: 53, address: '10.0.0.1', rule: 'default' };
    expect(opened).toEqual({ ...COMMON, event: 'opened', protocol: 'udp', transport: 'tcp', ...first });
    expect(closed).toMatchObject({
      ...{ ...first, protocol: 'udp', transport: 'tcp', end: 'client', more_targets: false },
      targets: [first, { target: 'dns', port: 5353, address: '10.0.0.2', rule: 'rule 7' }],
    });
  });

  it('of an association that reached more than is remembered say so, and are bounded', () => {
    const { session, lines, records } = audited({ protocol: 'udp', target: undefined, user: 'ü'.repeat(10_000) });
    const name = '\u{1f600}'.repeat(63); // 252 bytes
    for (let i = 0; i < 100; i++)
      session.reached(route(name, `2001:db8:1111:2222:3333:4444:5555:${i}`, i, 'r'.repeat(9999)));
    session.close('idle');
    expect(records()[1]).toMatchObject({ more_targets: true, user: `${'ü'.repeat(255)}…` });
    expect(records()[1].targets).toHaveLength(32);
    expect(Buffer.byteLength(lines[1]!)).toBeLessThan(32 * 1024);
  });

  it('are one line each, and plain, whatever a name has in it', () => {
    const host = 'a"\\\n{}\r\u0000\u001b[31m\u0085\u2028\u2029\u202e\u200b\ud800é';
    const { session, lines, records } = audited();
    session.refused({ reason: 'name', message: `${host}: no such name`, target: { type: 'name', host, port: 1 } });
    expect(lines[0]!.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    expect(lines[0]).toMatch(/^\{.*é.*\}\n$/);
    expect(records()[0]).toMatchObject({ target: host, message: `${host}: no such name` });
  });
});
