import { describe, expect, it } from 'vitest';
import { describeRoute, renderStatus } from './render.ts';
import { STATUS } from './status-fixtures.ts';

const NOW = '2026-01-01T01:00:00.000Z';

describe('renderStatus', () => {
  it('makes tables', () => {
    expect(renderStatus(STATUS, 'table', NOW)).toBe(`\
ss-local    1.2.3, pid 42, running for 1 h 0 min
listening   127.0.0.1:1080 (SOCKS5, SOCKS4, HTTP)
route       auto: cluster.local, svc, 10.96.0.0/12 through the tunnel, else direct; names without a dot are in namespace payments
DNS         127.0.0.1:5354 for cluster.local
UDP         datagrams
connections 3 open, 100 since the start, 2 failed
sent        999 B, now 0 B/s
received    1.2 MB, now 12 kB/s

   SERVER              HEALTH     RTT    OPEN  TOTAL  FAILED  REASON
*  one                 healthy    12 ms  3     100    1
   [2001:db8::1]:8388  unhealthy  -      0     0      0       no answer within 2.5 s

LISTEN              TARGET
127.0.0.1:5432/tcp  db.default:5432

NAME                ADDRESS
redis-0.redis:6379  127.64.0.1:6379

FAILED     TARGET          REASON
2 min ago  web.default:81  connection refused
`);
  });

  it('tells more in wide ones', () => {
    const wide = renderStatus(STATUS, 'wide', NOW);
    expect(wide).toMatch(
      /^\* {2}a\.example:32088 +one +2022-blake3-aes-256-gcm +podsocks 0\.1\.0 +cluster\.local +healthy/m,
    );
  });

  it('is JSON for programs', () => {
    expect(JSON.parse(renderStatus(STATUS, 'json', NOW))).toEqual(STATUS);
  });

  it('shows five failures, and all of them in wide tables', () => {
    const failures = Array.from({ length: 8 }, (_, i) => ({ ...STATUS.failures[0]!, target: `t${i}:1` }));
    const count = (format: 'table' | 'wide') =>
      renderStatus({ ...STATUS, failures }, format, NOW).match(/ t\d:1 /g)?.length;
    expect([count('table'), count('wide')]).toEqual([5, 8]);
  });

  it('lets nothing through that moves the cursor', () => {
    const failures = [{ ...STATUS.failures[0]!, reason: 'a\x1b[2Jb\u202ec\nd' }];
    const rendered = renderStatus({ ...STATUS, failures }, 'table', NOW);
    expect(rendered).toContain('a?[2Jb?c?d');
    const evil = '\x1b[2J\u202e\n';
    const status = {
      ...STATUS,
      ssLocal: { version: evil, pid: 1 },
      listen: [evil],
      udp: evil as 'off',
      route: { ...STATUS.route, namespace: evil, domains: [evil] },
      dns: { listen: [evil], zones: [evil] },
    };
    for (const format of ['table', 'wide'] as const) {
      expect(renderStatus(status, format, NOW).replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(renderStatus(status, format, NOW).split('\n')).toHaveLength(
        renderStatus(STATUS, format, NOW).split('\n').length,
      );
    }
    const json = renderStatus({ ...STATUS, failures: [{ ...STATUS.failures[0]!, reason: 'a\u009b2J' }] }, 'json', NOW);
    expect(json).toContain('a\\u009b2J');
  });
});

it.each([
  [{ mode: 'all' as const, domains: [], networks: [] }, 'all: everything through the tunnel'],
  [
    { mode: 'rules' as const, namespace: 'x', domains: [], networks: [] },
    'rules; names without a dot are in namespace x',
  ],
])('describes %j', (route, expected) => expect(describeRoute(route)).toBe(expected));
