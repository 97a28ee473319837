import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MappedNames } from '../forward/mapped-names.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import { startClusterDns } from './cluster-dns.ts';
import { askUdp, fakeServer, fakeTunnel, queryBytes, read, said } from './dns-fixtures.ts';

const WEB = 'web.default.svc.prod.k8s';
const query = queryBytes(WEB, { payloadBytes: 1232 });

/** A local DNS whose server is yet to say what it is. */
async function startUnheard(servers: readonly Endpoint[] = []) {
  const server = {
    kind: 'unknown',
    known: undefined as { readonly nameservers: readonly Endpoint[] } | undefined,
    heard: async () => {},
  };
  const router = { clusterDomain: 'cluster.local', clusterNetworks: [] };
  const system = await fakeServer(zone({}));
  const dns = await startClusterDns({
    config: { listen: [{ host: '127.0.0.1', port: 0 }], servers, zones: [], upstreams: [system.at] },
    pool: { active: { extensions: server } } as unknown as ServerPool,
    router,
    mapped: new MappedNames([]),
    openStream: fakeTunnel().openStream,
    log: pino({ level: 'silent' }),
  });
  onTestFinished(() => dns.close());
  return { at: dns.addresses[0]!, server, router, system };
}

describe('a server that has not said what it is', () => {
  it.each([
    ['its DNS servers are to be named', false],
    ['they are known already', true],
  ])('is waited for, lest names of its cluster are asked of others: %s', async (_, isKnown) => {
    const cluster = await fakeServer(zone({ [WEB]: ['10.96.0.7'] }));
    const { at, server, router, system } = await startUnheard(isKnown ? [cluster.at] : []);
    let asked = 0;
    server.heard = async () => {
      asked++;
      await new Promise(setImmediate);
      server.known = { nameservers: [cluster.at] };
      router.clusterDomain = 'prod.k8s';
    };
    expect(said(await askUdp(at, query))).toEqual([`${WEB} A 10.96.0.7`]);
    expect(system.asked).toEqual([]);
    await askUdp(at, query);
    expect(asked).toBe(1);
  });

  it.each([
    ['unknown', 'the Shadowsocks server has not answered; ss-local doctor says why'],
    ['plain', 'the Shadowsocks server does not name one; give --dns-server'],
    ['podsocks', 'the Shadowsocks server does not name one; give --dns-server'],
  ])('or is %s has no DNS server, and the answer says why', async (kind, why) => {
    const { at, server, router } = await startUnheard();
    router.clusterDomain = 'prod.k8s';
    server.kind = kind;
    const answer = await askUdp(at, query);
    expect(read(answer).rcode).toBe('SERVFAIL');
    expect(answer.toString('latin1')).toContain(why);
  });
});
