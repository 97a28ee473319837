import { describe, expect, it } from 'vitest';
import type { KnownServer } from '../servers/known-server.ts';
import { checklist } from './checklist.ts';
import { STATUS } from './status-fixtures.ts';

const KNOWN: KnownServer = {
  version: '0.1.0',
  user: 'ada',
  hasConnectStatus: true,
  carriesUdp: true,
  carriesUdpOverTcp: true,
  clockAhead: 0,
  domain: 'cluster.local',
  namespace: 'podsocks',
  nameservers: [{ host: '10.96.0.10', port: 53 }],
  search: [],
  ndots: 5,
  allowed: ['10.96.0.0/12', '10.244.0.0/16'],
  default: 'deny',
};

const facts = { status: STATUS, known: KNOWN, asked: true, offersTcp: true, backend: 'native', lanAddresses: [] };

describe('checklist', () => {
  it('says what was found, and lines to copy', () => {
    expect(checklist(facts)).toBe(`\
  ✓ server     one (a.example:32088), podsocks 0.1.0, 12 ms; 1 more: ss-local status
  ✓ cipher     2022-blake3-aes-256-gcm, native
  ✓ cluster    cluster.local, ss-server in podsocks, DNS 10.96.0.10
  ✓ allowed    10.96.0.0/12, 10.244.0.0/16, as ada
  ✓ route      auto: cluster.local, svc, 10.96.0.0/12 through the tunnel, else direct; names without a dot are in namespace payments
  ✓ local DNS  127.0.0.1:5354 for cluster.local; ss-local dns install lets the system use it
  ✓ UDP        as datagrams
  ✓ forward    127.0.0.1:5432/tcp → db.default:5432
  ✓ map        redis-0.redis:6379 is 127.64.0.1:6379

  curl --proxy socks5h://127.0.0.1:1080 http://info.podsocks.internal/v1/info
  eval "$(ss-local env)"            # for this shell: curl, git, npm, pip, Go, …
  http://127.0.0.1:1080/proxy.pac   # for a browser, or: ss-local system-proxy on
`);
  });

  it('says where to look when the server does not answer', () => {
    const [server] = STATUS.servers;
    const servers = [{ ...server!, kind: 'unknown' as const, reason: 'connection refused' }];
    const text = checklist({ ...facts, known: undefined, status: { ...STATUS, servers } });
    expect(text).toContain('✗ server     one (a.example:32088): connection refused; ss-local doctor says why\n');
    expect(text).not.toContain('allowed');
  });

  it('has what to type on other machines, with a place for the password', () => {
    const status = { ...STATUS, listen: ['[::]:1081'], asksForPassword: true };
    const text = checklist({ ...facts, status, lanAddresses: ['192.168.1.20'] });
    expect(text).toContain('socks5h://USER:PASSWORD@127.0.0.1:1081 ');
    expect(text).toContain('socks5h://USER:PASSWORD@192.168.1.20:1081 ');
    expect(text).toContain('ss-local -l 1081 --socks-username USER --socks-password-file FILE env');
  });

  it.each([
    [['127.0.0.1:1080'], []],
    [['127.0.0.1:1080', '192.168.1.20:1080'], ['192.168.1.20']],
    [['0.0.0.0:1080'], ['192.168.1.20', '172.17.0.1']],
  ])('has of the addresses of this machine those that lead to %j', (listen, expected) => {
    const text = checklist({ ...facts, status: { ...STATUS, listen }, lanAddresses: ['192.168.1.20', '172.17.0.1'] });
    expect([...text.matchAll(/socks5h:\/\/(.*):1080 +# on other machines/g)].map(([, host]) => host)).toEqual(expected);
  });

  it.each([
    ['127.0.0.1:1080', 'ss-local env'],
    ['0.0.0.0:1081', 'ss-local -l 1081 env'],
    ['127.0.0.2:1080', 'ss-local -b 127.0.0.2 env'],
    ['[::1]:1081', 'ss-local -b ::1 -l 1081 env'],
  ])('says where an instance at %s is', (listen, line) => {
    expect(checklist({ ...facts, status: { ...STATUS, listen: [listen] } })).toContain(`eval "$(${line})"`);
  });

  it('says that nobody tells the addresses of mapped names', () => {
    const { dns: _, ...status } = STATUS;
    const untold = '  ✗ map        without --dns, programs find these names in a hosts file only\n';
    expect(checklist({ ...facts, status })).toContain(`is 127.64.0.1:6379\n${untold}`);
    expect(checklist({ ...facts, status: { ...status, maps: [] } })).not.toContain('hosts file');
  });

  it('says that the server takes no datagrams', () => {
    expect(checklist({ ...facts, known: { ...KNOWN, carriesUdp: false } })).toContain(
      'start it with -u, or use --udp-over-tcp',
    );
  });

  it('says nothing against a server that was not asked, and has no lines for TCP where there is none', () => {
    const servers = [{ ...STATUS.servers[0]!, kind: 'unknown' as const }];
    const text = checklist({
      ...facts,
      known: undefined,
      asked: false,
      offersTcp: false,
      status: { ...STATUS, servers },
    });
    expect(text).toContain('✓ server     one (a.example:32088), which is not asked what it is\n');
    expect(text).not.toContain('curl');
  });

  it('lets nothing through that moves the cursor', () => {
    const evil = 'x\x1b]0;y\x07\u202e\nz';
    const [server] = STATUS.servers;
    const status = {
      ...STATUS,
      servers: [{ ...server!, name: evil, address: evil, method: evil, version: evil }],
      listen: [evil],
      route: { ...STATUS.route, namespace: evil, domains: [evil] },
      dns: { listen: [evil], zones: [evil] },
      forwards: [{ listen: evil, target: evil, protocol: 'tcp' as const }],
      maps: [{ name: evil, address: evil, port: 1 }],
    };
    const known = { ...KNOWN, domain: evil, namespace: evil, user: evil, allowed: [evil] };
    const clean = checklist({ ...facts, status, known, backend: evil });
    expect(clean.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(clean.split('\n')).toHaveLength(checklist(facts).split('\n').length);
    const unknown = { ...status, servers: [{ ...status.servers[0]!, kind: 'unknown' as const, reason: evil }] };
    expect(checklist({ ...facts, status: unknown }).replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('cuts a long list of networks', () => {
    const allowed = Array.from({ length: 20 }, (_, i) => `10.${i}.0.0/16`);
    expect(checklist({ ...facts, known: { ...KNOWN, allowed } })).toContain('10.5.0.0/16, …, as ada');
  });
});
