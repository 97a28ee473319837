import type { ClientStatus } from './client-status.ts';

/** The status of an ss-local that has been up for an hour. */
export const STATUS: ClientStatus = {
  ssLocal: { version: '1.2.3', pid: 42 },
  since: '2026-01-01T00:00:00.000Z',
  listen: ['127.0.0.1:1080'],
  asksForPassword: false,
  udp: 'datagrams',
  route: { mode: 'auto', namespace: 'payments', domains: ['cluster.local', 'svc'], networks: ['10.96.0.0/12'] },
  servers: [
    {
      name: 'one',
      address: 'a.example:32088',
      method: '2022-blake3-aes-256-gcm',
      health: 'healthy',
      active: true,
      roundTrip: 12.34,
      kind: 'podsocks',
      version: '0.1.0',
      domain: 'cluster.local',
      connections: 3,
      total: 100,
      failed: 1,
    },
    {
      address: '[2001:db8::1]:8388',
      method: 'aes-256-gcm',
      health: 'unhealthy',
      active: false,
      reason: 'no answer within 2.5 s',
      kind: 'unknown',
      connections: 0,
      total: 0,
      failed: 0,
    },
  ],
  connections: { open: 3, total: 100, failed: 2 },
  bytes: { up: 999, down: 1_234_567 },
  rates: { up: 0, down: 12_345 },
  dns: { listen: ['127.0.0.1:5354'], zones: ['cluster.local'] },
  forwards: [{ listen: '127.0.0.1:5432', target: 'db.default:5432', protocol: 'tcp' }],
  maps: [{ name: 'redis-0.redis', address: '127.64.0.1', port: 6379 }],
  failures: [
    { at: '2026-01-01T00:58:00.000Z', target: 'web.default:81', reason: 'connection refused', client: '127.0.0.1' },
  ],
};
