import { createSocket } from 'node:dgram';
import { a, cname, reply, type Script, soa, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Answer } from 'dns-packet';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseMap } from '../forward/fields.ts';
import { MappedNames } from '../forward/mapped-names.ts';
import { askUdp, connectTcp, HEARD, queryBytes, read, said, startLab } from './dns-fixtures.ts';

const [SVCB, HTTPS] = [64, 65];

const WEB = 'web.default.svc.cluster.local';
const clusterSays = zone({ [WEB]: ['10.96.0.7'], 'alias.cluster.local': [`-> ${WEB}`] });
const systemSays = zone({ 'example.com': ['192.0.2.1'] });

const many =
  (count: number): Script =>
  query =>
    reply(query, { answers: Array.from({ length: count }, (_, i) => a(query.name, `10.1.${i >> 8}.${i & 255}`)) });

describe('names', () => {
  it('of the cluster are asked of its DNS, by TCP through the tunnel', async () => {
    const { at, cluster, system, tunnel } = await startLab({ clusterSays, systemSays });
    expect(said(await askUdp(at, queryBytes(WEB)))).toEqual([`${WEB} A 10.96.0.7`]);
    expect(cluster.asked).toMatchObject([{ name: WEB, type: 'A', by: 'tcp', edns: true }]);
    expect(tunnel.opened.map(({ target }) => target)).toEqual([{ type: 'ipv4', ...cluster.at }]);
    expect(system.asked).toEqual([]);
  });

  it('of other places are asked of the system, directly', async () => {
    const { at, cluster, system, tunnel } = await startLab({ clusterSays, systemSays });
    expect(said(await askUdp(at, queryBytes('example.com')))).toEqual(['example.com A 192.0.2.1']);
    expect(system.asked).toMatchObject([{ name: 'example.com', by: 'udp' }]);
    expect([cluster.asked, tunnel.opened]).toEqual([[], []]);
  });

  it.each([
    ['cluster.local', 'cluster'],
    ['CLUSTER.Local', 'cluster'],
    ['xcluster.local', 'system'],
    ['cluster.local.example.com', 'system'],
    ['7.0.96.10.in-addr.arpa', 'cluster'],
    ['7.0.1.10.in-addr.arpa', 'system'],
  ])('%s is asked of the %s', async (name, side) => {
    const says: Script = query => reply(query, { answers: [a(name, '10.0.0.1')] });
    const { at, cluster, system } = await startLab({ clusterSays: says, systemSays: says });
    await askUdp(at, queryBytes(name));
    expect([cluster.asked.length, system.asked.length]).toEqual(side === 'cluster' ? [1, 0] : [0, 1]);
  });

  it('are asked of another cluster when there is one, and what the former said is forgotten', async () => {
    let zones: readonly string[] = [];
    const { at, cluster, system } = await startLab({ systemSays: clusterSays, clusterSays });
    const lab = await startLab({
      cluster: { zones: () => zones, networks: () => [], nameservers: () => [cluster.at], ...HEARD },
      upstreams: () => [system.at],
    });
    await askUdp(lab.at, queryBytes(WEB));
    await askUdp(lab.at, queryBytes(WEB));
    expect([cluster.asked.length, system.asked.length]).toEqual([0, 1]);
    zones = ['cluster.local'];
    await askUdp(lab.at, queryBytes(WEB));
    expect([cluster.asked.length, system.asked.length]).toEqual([1, 1]);
    expect(at).not.toEqual(lab.at);
  });
});

describe('records of all types', () => {
  const records: readonly Answer[] = [
    {
      type: 'SRV',
      name: '_http._tcp.web.cluster.local',
      ttl: 5,
      data: { port: 80, target: WEB, priority: 1, weight: 2 },
    },
    { type: 'PTR', name: '7.0.96.10.in-addr.arpa', ttl: 5, data: WEB },
    { type: 'TXT', name: 'dns-version.cluster.local', ttl: 5, data: [Buffer.from('1.1.0')] },
    { type: 'MX', name: 'cluster.local', ttl: 5, data: { preference: 1, exchange: WEB } },
    { type: 'AAAA', name: WEB, ttl: 5, data: 'fd00::7' },
    {
      type: 'NAPTR',
      name: WEB,
      ttl: 5,
      data: { flags: 'u', order: 1, preference: 1, regexp: '', replacement: 'x', services: 'y' },
    },
  ];

  it.each(records)('$type comes as it is', async record => {
    const { at } = await startLab({ clusterSays: query => reply(query, { answers: [record] }) });
    const { rcode, answers } = read(await askUdp(at, queryBytes(record.name, { type: record.type })));
    expect(rcode).toBe('NOERROR');
    expect(answers).toMatchObject([record]);
  });

  it('aliases come with what they stand for', async () => {
    const { at } = await startLab({ clusterSays });
    expect(said(await askUdp(at, queryBytes('alias.cluster.local')))).toEqual([
      `alias.cluster.local CNAME ${WEB}`,
      `${WEB} A 10.96.0.7`,
    ]);
  });

  it('NXDOMAIN comes with its SOA', async () => {
    const { at } = await startLab({ clusterSays });
    const { rcode, authorities } = read(await askUdp(at, queryBytes('no.cluster.local')));
    expect([rcode, authorities[0]?.type]).toEqual(['NXDOMAIN', 'SOA']);
  });
});

describe('the answer', () => {
  it('repeats id and question, letter by letter', async () => {
    const { at } = await startLab({ clusterSays: query => reply({ ...query, name: query.name.toLowerCase() }, {}) });
    const query = queryBytes('WeB.Default.svc.cluster.LOCAL', { id: 0xbeef });
    const answer = await askUdp(at, query);
    expect(answer.subarray(12, query.length)).toEqual(query.subarray(12));
    expect(read(answer)).toMatchObject({ id: 0xbeef, flag_rd: true, flag_ra: true, flag_aa: false, flag_qr: true });
  });

  it('has OPT for those who have it, and for nobody else', async () => {
    const { at } = await startLab({ clusterSays });
    expect(read(await askUdp(at, queryBytes(WEB))).opt).toBeUndefined();
    const { opt } = read(await askUdp(at, queryBytes(WEB, { payloadBytes: 1232, wantsDnssec: true })));
    expect(opt).toMatchObject({ udpPayloadSize: 1232, flag_do: true, extendedRcode: 0 });
  });

  it.each([
    [undefined, 512],
    [100, 512],
    [1232, 1232],
    [65_535, 4096],
  ])('by UDP to a client of %s bytes is cut at %i, and whole by TCP', async (payloadBytes, limit) => {
    const { at } = await startLab({ clusterSays: many(300) });
    const query = queryBytes(WEB, payloadBytes === undefined ? {} : { payloadBytes });
    const cut = await askUdp(at, query);
    expect(cut.length).toBeLessThanOrEqual(limit);
    expect(cut.length).toBeGreaterThan(limit - 50);
    expect(read(cut)).toMatchObject({ flag_tc: true, opt: payloadBytes === undefined ? undefined : {} });
    const tcp = await connectTcp(at);
    tcp.send(query);
    const whole = read((await tcp.next())!);
    expect([whole.flag_tc, whole.answers.length]).toEqual([false, 300]);
  });
});

describe('what is remembered', () => {
  it('is not asked again, and gets older', async () => {
    const { at, cluster, pass, dns } = await startLab({
      clusterSays: query => reply(query, { answers: [a(WEB, '10.96.0.7', 30)] }),
    });
    const ttls: (number | undefined)[] = [];
    for (const time of [0, 10_500, 19_000, 1000]) {
      pass(time);
      const [record] = read(await askUdp(at, queryBytes(WEB.toUpperCase()))).answers;
      ttls.push((record as { ttl?: number }).ttl);
    }
    expect(ttls).toEqual([30, 20, 1, 30]);
    expect(cluster.asked).toHaveLength(2);
    expect(dns.counts).toMatchObject({ udp: 4, cluster: 2, remembered: 2 });
  });

  it('that there is nothing, for as long as the SOA says, but not for more than 30 s', async () => {
    let minimum = 5;
    const { at, cluster, pass } = await startLab({
      clusterSays: query => reply(query, { authorities: [soa({ ttl: 600, minimum })], rcode: 3 }),
    });
    const ask = () => askUdp(at, queryBytes('no.cluster.local'));
    await ask();
    pass(4999);
    await ask();
    expect(cluster.asked).toHaveLength(1);
    minimum = 600;
    pass(1);
    await ask();
    pass(29_999);
    await ask();
    expect(cluster.asked).toHaveLength(2);
    pass(1);
    await ask();
    expect(cluster.asked).toHaveLength(3);
  });

  it('that the server failed, for a second', async () => {
    const { at, cluster, pass } = await startLab({ clusterSays: query => reply(query, { rcode: 2 }) });
    const ask = async () => read(await askUdp(at, queryBytes(WEB))).rcode;
    expect([await ask(), await ask()]).toEqual(['SERVFAIL', 'SERVFAIL']);
    expect(cluster.asked).toHaveLength(1);
    pass(1000);
    await ask();
    expect(cluster.asked).toHaveLength(2);
  });

  it('is apart by type, and by what the client wants', async () => {
    const { at, cluster } = await startLab({ clusterSays });
    for (const type of ['A', 'AAAA']) await askUdp(at, queryBytes(WEB, { type }));
    await askUdp(at, queryBytes(WEB, { payloadBytes: 1232, wantsDnssec: true }));
    await askUdp(at, queryBytes(WEB, { flags: 0x0110 }));
    await askUdp(at, queryBytes(WEB, { flags: 0 }));
    expect(cluster.asked).toHaveLength(5);
  });

  it('while it is asked for, nobody else asks', async () => {
    let release = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    const { at, cluster, tunnel, dns } = await startLab({ clusterSays });
    tunnel.before = () => held;
    const asked = Array.from({ length: 20 }, (_, id) => askUdp(at, queryBytes(WEB, { id })));
    await expect.poll(() => dns.load.waiting).toBe(20);
    release();
    expect((await Promise.all(asked)).map(answer => read(answer).id)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(cluster.asked).toHaveLength(1);
    expect(dns.load.waiting).toBe(0);
  });
});

describe('mapped names', () => {
  const mapped = new MappedNames([parseMap('kafka-0.kafka.default.svc.cluster.local:9092')]);
  const KAFKA = 'Kafka-0.kafka.default.svc.cluster.local';

  it('have their loopback address for five seconds, and nothing else', async () => {
    const { at, cluster } = await startLab({ mapped, clusterSays });
    expect(read(await askUdp(at, queryBytes(KAFKA))).answers).toEqual([
      expect.objectContaining({ name: KAFKA, type: 'A', ttl: 5, data: '127.64.0.1' }),
    ]);
    for (const type of ['AAAA', HTTPS, 'TXT']) {
      expect(read(await askUdp(at, queryBytes(KAFKA, { type })))).toMatchObject({ rcode: 'NOERROR', answers: [] });
    }
    expect(cluster.asked).toEqual([]);
  });

  it('are those of their addresses, which nobody else is asked for', async () => {
    const { at, system } = await startLab({ mapped, systemSays });
    const reverse = '1.0.64.127.in-addr.arpa';
    expect(read(await askUdp(at, queryBytes(reverse, { type: 'PTR' }))).answers).toEqual([
      expect.objectContaining({ name: reverse, type: 'PTR', ttl: 5, data: KAFKA.toLowerCase() }),
    ]);
    expect(read(await askUdp(at, queryBytes(reverse)))).toMatchObject({ rcode: 'NOERROR', answers: [] });
    expect(system.asked).toEqual([]);
    await askUdp(at, queryBytes('2.0.64.127.in-addr.arpa', { type: 'PTR' }));
    expect(system.asked).toHaveLength(1);
  });
});

describe('queries that nobody is asked for', () => {
  it.each([
    ['version.bind', { type: 'TXT', class: 'CH' }, 'REFUSED'],
    [WEB, { class: 'ANY' }, 'REFUSED'],
    ['cluster.local', { type: 'AXFR' }, 'REFUSED'],
    ['cluster.local', { type: 'IXFR' }, 'REFUSED'],
    [WEB, { type: 'TKEY' }, 'NOTIMP'],
    [WEB, { type: 'OPT' }, 'NOTIMP'],
    [WEB, { flags: 0x2800 }, 'NOTIMP'],
    ['_dns.resolver.arpa', { type: SVCB }, 'NOERROR'],
  ])('%s %j: %s', async (name, options, rcode) => {
    const { at, cluster, system } = await startLab({ clusterSays, systemSays });
    expect(read(await askUdp(at, queryBytes(name, options)))).toMatchObject({ rcode, answers: [], id: 7 });
    expect([cluster.asked, system.asked]).toEqual([[], []]);
  });

  it('ANY has the least answer (RFC 8482)', async () => {
    const { at } = await startLab();
    const { answers } = read(await askUdp(at, queryBytes(WEB, { type: 'ANY' })));
    expect(answers).toMatchObject([{ name: WEB, type: 'HINFO', data: { cpu: 'RFC8482', os: '' } }]);
  });

  it('of a later version of EDNS have BADVERS', async () => {
    const { at } = await startLab();
    const query = queryBytes(WEB, { payloadBytes: 1232 });
    query[query.length - 5] = 1;
    expect(read(await askUdp(at, query)).opt).toMatchObject({ extendedRcode: 1, ednsVersion: 0 });
  });

  it('answers and fragments have no answer', async () => {
    const { at, dns } = await startLab({ systemSays });
    const answer = queryBytes(WEB);
    answer[2] = 0x81;
    const tcp = await connectTcp(at);
    tcp.send(answer, answer.subarray(0, 11), queryBytes('example.com', { id: 99 }));
    expect(read((await tcp.next())!).id).toBe(99);
    expect(dns.counts).toMatchObject({ tcp: 3, refused: 2 });
  });
});

describe('when the tunnel is down', () => {
  it('names of the cluster have SERVFAIL and the reason, others are as ever', async () => {
    const { at, tunnel, lines, dns } = await startLab({ systemSays });
    tunnel.before = () => Promise.reject(refused());
    const answer = await askUdp(at, queryBytes(WEB, { payloadBytes: 1232 }));
    expect(read(answer).rcode).toBe('SERVFAIL');
    expect(answer.toString('latin1')).toContain('the server cannot be reached');
    expect(said(await askUdp(at, queryBytes('example.com')))).toEqual(['example.com A 192.0.2.1']);
    expect(lines.filter(({ level }) => level === 40).map(({ msg }) => msg)).toEqual([
      expect.stringMatching(/the cluster's names cannot be looked up: 127\.0\.0\.1:\d+: the server cannot be reached/),
    ]);
    expect(dns.counts).toMatchObject({ cluster: 1, system: 1, failed: 1 });
  });

  it('they are found again a second after it is up', async () => {
    const { at, tunnel, pass } = await startLab({ clusterSays });
    tunnel.before = () => Promise.reject(refused());
    await askUdp(at, queryBytes(WEB));
    tunnel.before = undefined;
    expect(read(await askUdp(at, queryBytes(WEB))).rcode).toBe('SERVFAIL');
    pass(1000);
    expect(said(await askUdp(at, queryBytes(WEB)))).toEqual([`${WEB} A 10.96.0.7`]);
  });

  it('a cluster without a known DNS server says so', async () => {
    const lab = await startLab({
      cluster: { zones: () => ['cluster.local'], networks: () => [], nameservers: () => [], ...HEARD },
    });
    const answer = await askUdp(lab.at, queryBytes(WEB, { payloadBytes: 1232 }));
    expect(read(answer).rcode).toBe('SERVFAIL');
    expect(answer.toString('latin1')).toContain(HEARD.obstacle());
  });
});

describe('when it is the system’s own DNS server', () => {
  it('it does not ask itself: REFUSED, and a line', async () => {
    const listening: { host: string; port: number }[] = [];
    const { at, lines } = await startLab({ upstreams: () => listening });
    listening.push(at);
    const answer = await askUdp(at, queryBytes('example.com', { payloadBytes: 1232 }));
    expect(read(answer).rcode).toBe('REFUSED');
    expect(lines.some(({ msg }) => msg.includes('--dns-upstream'))).toBe(true);
  });

  it('and another asks it back, the question is asked once', async () => {
    const first = await startLab({ upstreams: () => [second.at] });
    const second = await startLab({ upstreams: () => [first.at] });
    const { rcode } = read(await askUdp(first.at, queryBytes('example.com')));
    expect(rcode).toBe('SERVFAIL');
    expect(first.dns.counts.udp).toBeLessThan(20);
  });
});

describe('clients', () => {
  it('who may not ask get no answer', async () => {
    const seen: string[] = [];
    const { at, dns } = await startLab({ systemSays, isAllowed: address => seen.push(address) > 2 });
    const tcp = await connectTcp(at);
    expect(await tcp.next()).toBeUndefined();
    const unanswered = createSocket('udp4');
    onTestFinished(() => void unanswered.close());
    unanswered.send(queryBytes('example.com'), at.port, at.host);
    await expect.poll(() => seen).toEqual(['127.0.0.1', '127.0.0.1']);
    expect(read(await askUdp(at, queryBytes('example.com'))).rcode).toBe('NOERROR');
    expect(dns.counts).toMatchObject({ tcp: 0, udp: 1 });
  });

  it('by IPv6 are answered, too', async () => {
    const { dns } = await startLab({ listen: [{ host: '::1', port: 0 }], systemSays });
    expect(said(await askUdp(dns.addresses[0]!, queryBytes('example.com')))).toEqual(['example.com A 192.0.2.1']);
  });

  /** A lab whose answers wait until they are let go. */
  async function startHeld() {
    let release = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    const lab = await startLab({ clusterSays });
    lab.tunnel.before = () => held;
    return { ...lab, release: () => release() };
  }

  it('by UDP are answered before a drain ends', async () => {
    const { at, dns, release } = await startHeld();
    const asked = askUdp(at, queryBytes(WEB));
    await expect.poll(() => dns.load.waiting).toBe(1);
    const drained = dns.drain();
    release();
    expect(said(await asked)).toEqual([`${WEB} A 10.96.0.7`]);
    await drained;
  });

  it('by TCP are answered before a drain ends, and others are not taken in', async () => {
    const { at, dns, release } = await startHeld();
    const tcp = await connectTcp(at);
    tcp.send(queryBytes(WEB));
    await expect.poll(() => dns.load.waiting).toBe(1);
    const drained = dns.drain();
    await expect(connectTcp(at)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    release();
    expect(said((await tcp.next())!)).toEqual([`${WEB} A 10.96.0.7`]);
    expect(await tcp.next()).toBeUndefined();
    await drained;
  });

  it('who ask for more than can be asked are told so at once', async () => {
    const { at, dns, release } = await startHeld();
    const waiting = Array.from({ length: 8 }, () => connectTcp(at));
    for (const [i, tcp] of (await Promise.all(waiting)).entries()) {
      tcp.send(...Array.from({ length: 32 }, (_, j) => queryBytes(`n${i}-${j}.cluster.local`)));
    }
    await expect.poll(() => dns.load.waiting).toBe(256);
    const answer = await askUdp(at, queryBytes(WEB, { payloadBytes: 1232 }));
    expect(read(answer).rcode).toBe('SERVFAIL');
    expect(answer.toString('latin1')).toContain('too many names');
    release();
    await expect.poll(() => dns.load.waiting).toBe(0);
    expect(said(await askUdp(at, queryBytes(WEB)))).toEqual([`${WEB} A 10.96.0.7`]);
  });
});

describe('a port that is taken', () => {
  it('is an error, and nothing runs', async () => {
    const { at } = await startLab();
    await expect(startLab({ listen: [at] })).rejects.toMatchObject({ code: 'ERR_LISTEN' });
  });
});

it('aliases of a name are followed by nobody here', async () => {
  const { at, cluster } = await startLab({
    clusterSays: query => reply(query, { answers: [cname(query.name, 'x.example')] }),
  });
  expect(said(await askUdp(at, queryBytes(WEB)))).toEqual([`${WEB} CNAME x.example`]);
  expect(cluster.asked).toHaveLength(1);
});

function refused(): Error {
  return new PodsocksError('ERR_DIAL', 'the server cannot be reached: connection refused');
}
