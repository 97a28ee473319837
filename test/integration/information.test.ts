import type { ServerConfig } from '@podsocks/server/config';
import { reply as dnsReply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { parseNamePattern } from '@podsocks/shared/matching/name-pattern';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { parsePorts } from '@podsocks/shared/matching/port-ranges';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { describe, expect, it } from 'vitest';
import { type Pair, type PairOptions, startPair } from '../support/in-process.ts';
import { isSaid, startDns } from '../support/named-pair.ts';

interface Got {
  readonly status: number;
  readonly headers: string;
  // biome-ignore lint/suspicious/noExplicitAny: what JSON it is, is what tests find out
  readonly body: any;
}

/** Asks the information host through the tunnel. */
async function get(pair: Pair, path: string, { host = INFORMATION_HOST.host, method = 'GET' } = {}): Promise<Got> {
  const connection = await pair.connect({ host, port: 80 });
  await connection.send(`${method} ${path} HTTP/1.1\r\nHost: ${INFORMATION_HOST.host}\r\nConnection: close\r\n\r\n`);
  const text = String(await connection.takeAll());
  connection.end();
  return parsed(text);
}

function parsed(text: string): Got {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    headers: head,
    body: body === '' ? null : JSON.parse(body),
  };
}

const RECORDS: Script = query => {
  const { name, type } = query;
  if (name === '_http._tcp.web.default.svc.test' && type === 'SRV') {
    const data = { priority: 0, weight: 50, port: 8080, target: 'pod-1.web.default.svc.test' };
    return dnsReply(query, { answers: [{ type: 'SRV', name, ttl: 7, data }] });
  }
  if (name === 'text.test' && type === 'TXT') {
    return dnsReply(query, { answers: [{ type: 'TXT', name, ttl: 9, data: ['one', 'two'] }] });
  }
  if (name === '7.0.0.10.in-addr.arpa' && type === 'PTR') {
    return dnsReply(query, { answers: [{ type: 'PTR', name, ttl: 11, data: 'pod-7.test' }] });
  }
  return zone({
    'web.default.svc.test': ['10.96.0.7', 'fd00::7'],
    'db.test': ['10.66.0.1', '10.96.0.9'],
    'hidden.test': ['10.96.0.8'],
  })(query);
};

const POLICY: ServerConfig['policy'] = {
  rules: [
    { action: 'deny', to: [parseNamePattern('hidden.test')], from: 'rule 0' },
    { action: 'allow', users: ['ben'], to: [parseNetwork('10.66.0.0/16')], from: 'rule 1, of ben' },
    { action: 'deny', to: [parseNetwork('10.66.0.0/16')], from: 'rule 2' },
    {
      action: 'allow',
      to: [parseNetwork('10.96.0.0/12'), parseNetwork('fd00::/8')],
      ports: parsePorts('80,443'),
      from: 'rule 3',
    },
  ],
  default: 'deny',
};

async function startCluster(options: PairOptions = {}): Promise<Pair> {
  const dns = await startDns(RECORDS);
  const names = { nameservers: [dns.at], dnsSearch: ['default.svc.test', 'svc.test', 'test'], dnsNdots: 5 };
  return startPair({ users: ['ada', 'ben'], ...options, server: { policy: POLICY, ...names, ...options.server } });
}

describe('GET /v1/info', () => {
  it.each<[string, PairOptions]>([
    ['SIP004', { method: 'aes-256-gcm', users: ['ada', 'ben'] }],
    ['SIP022', {}],
    ['workers', { server: { workers: 2 } }],
  ])('says who the server is, and what its cluster looks like: %s', async (_, options) => {
    const pair = await startCluster(options);
    const { status, headers, body } = await get(pair, '/v1/info');
    expect(status).toBe(200);
    expect(headers).toContain('Content-Type: application/json; charset=utf-8');
    expect(body).toEqual({
      podsocks: { version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      time: expect.any(String),
      user: 'ada',
      features: ['connect-status', 'udp-over-tcp'],
      cluster: {
        domain: 'test',
        namespace: 'default',
        nameservers: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)],
        search: ['default.svc.test', 'svc.test', 'test'],
        ndots: 5,
        allowed: ['10.96.0.0/12', 'fd00::/8'],
        default: 'deny',
      },
    });
    expect(Math.abs(Date.parse(body.time) - Date.now())).toBeLessThan(60_000);
  });

  it('tells each user what is theirs', async () => {
    const { body } = await get(await startCluster({ as: 'ben' }), '/v1/info');
    expect(body).toMatchObject({
      user: 'ben',
      cluster: { allowed: ['10.66.0.0/16', '10.96.0.0/12', 'fd00::/8'] },
    });
  });

  it.each([1, 2])('says that there is UDP, whichever of %i workers is asked', async workers => {
    const pair = await startCluster({ server: { mode: 'tcp_and_udp', workers } });
    for (let count = 0; count < 4; count++) {
      expect((await get(pair, '/v1/info')).body.features).toEqual(['connect-status', 'udp', 'udp-over-tcp']);
    }
  });

  it.each(['INFO.podsocks.Internal', 'info.podsocks.internal.'])('answers to %s as well', async host => {
    expect((await get(await startCluster(), '/v1/info', { host })).status).toBe(200);
  });

  it('is nothing that the policy, or a DNS server, is asked about', async () => {
    const dns = await startDns(RECORDS);
    const pair = await startPair({
      server: { nameservers: [dns.at], policy: { rules: [], default: 'deny' } },
    });
    expect((await get(pair, '/v1/info')).body).toMatchObject({
      user: 'default',
      cluster: { allowed: [], default: 'deny' },
    });
    expect(dns.asked).toEqual([]);
  });
});

describe('GET /v1/resolve', () => {
  it('looks addresses up as for a connection', async () => {
    const pair = await startCluster();
    const name = 'web.default.svc.test';
    const four = { name, type: 'A', data: '10.96.0.7' };
    const six = { name, type: 'AAAA', data: 'fd00::7' };
    const both = (await get(pair, '/v1/resolve?name=web')).body;
    expect(both).toMatchObject({ name: 'web', type: 'ANY' });
    expect(both.answers).toHaveLength(2);
    expect(both.answers).toEqual(expect.arrayContaining([four, six]));
    expect((await get(pair, '/v1/resolve?name=web.default&type=A')).body.answers).toEqual([four]);
    expect((await get(pair, '/v1/resolve?name=WEB&type=aaaa')).body.answers).toEqual([six]);
  });

  it('asks for other records by the name as it is', async () => {
    const pair = await startCluster();
    const srv = await get(pair, '/v1/resolve?name=_http._tcp.web.default.svc.test&type=SRV');
    expect(srv.body.answers).toEqual([
      {
        name: '_http._tcp.web.default.svc.test',
        type: 'SRV',
        ttl: 7,
        data: { priority: 0, weight: 50, port: 8080, target: 'pod-1.web.default.svc.test' },
      },
    ]);
    const txt = await get(pair, '/v1/resolve?name=text.test&type=TXT');
    expect(txt.body.answers).toMatchObject([{ ttl: 9, data: ['one', 'two'] }]);
    const ptr = await get(pair, '/v1/resolve?name=7.0.0.10.in-addr.arpa&type=PTR');
    expect(ptr.body.answers).toMatchObject([{ ttl: 11, data: 'pod-7.test' }]);
    expect((await get(pair, '/v1/resolve?name=web&type=SRV')).status).toBe(404);
  });

  it.each([
    ['name=nothing', 404, 'not-found', 'nothing: no such name'],
    ['name=hidden.test.', 403, 'denied', 'not allowed'],
    ['name=hidden.test&type=TXT', 403, 'denied', 'not allowed'],
    ['name=a%20b', 403, 'denied', 'not allowed'],
    ['', 400, 'bad-request', 'the parameter "name" is missing'],
    ['name=', 400, 'bad-request', 'the parameter "name" is missing'],
    ['name=a&name=b', 400, 'bad-request', 'more than once'],
    ['name=a&type=AXFR', 400, 'bad-request', 'is none of ANY, A, AAAA'],
    [`name=${'a'.repeat(300)}`, 400, 'bad-request', 'more than 256 characters'],
  ])('?%s is %i %s', async (query, status, code, message) => {
    // Names of rules are judged as the search list completes them, so any rule with names leaves it to the look-up.
    const rules = [...POLICY.rules, { action: 'allow' as const, from: 'rule 4' }];
    const pair = await startCluster({ server: { policy: { rules, default: 'deny' } } });
    const got = await get(pair, `/v1/resolve?${query}`);
    expect(got).toMatchObject({ status, body: { error: { code, message: expect.stringContaining(message) } } });
  });

  it('asks no DNS server for a user who may go nowhere by name', async () => {
    const dns = await startDns(RECORDS);
    const policy = { rules: [], default: 'deny' } as const;
    const pair = await startPair({ server: { nameservers: [dns.at], policy } });
    for (const query of ['name=web', 'name=secret.evil.test&type=TXT']) {
      expect(await get(pair, `/v1/resolve?${query}`)).toMatchObject({
        status: 403,
        body: { error: { code: 'denied' } },
      });
    }
    expect(dns.asked).toEqual([]);
  });
});

describe('where a rule of others has a name', () => {
  const rules = [{ action: 'allow' as const, users: ['ben'], to: [parseNamePattern('db.test')], from: 'of ben' }];
  const closed = (as: string) => startCluster({ as, server: { policy: { rules, default: 'deny' } } });

  it('nobody is told the addresses of names that they may go to on no port', async () => {
    const pair = await closed('ada');
    for (const name of ['web', 'web.default.svc.test', 'db.test', 'db.test.']) {
      expect(await get(pair, `/v1/resolve?name=${name}`), name).toMatchObject({ status: 403 });
    }
    const { body } = await get(pair, '/v1/policy?host=db.test&port=80');
    expect(body).toMatchObject({ allowed: false, rule: 'default', addresses: [] });
    const ben = await closed('ben');
    expect((await get(ben, '/v1/resolve?name=db.test')).body.answers).toHaveLength(2);
    expect((await get(ben, '/v1/policy?host=db.test&port=80')).body.addresses).toHaveLength(2);
  });
});

describe('GET /v1/policy', () => {
  const ASKED = { host: 'db.test', port: 443, protocol: 'tcp' };

  it('says what would become of a connection, by the rules of this user', async () => {
    const path = '/v1/policy?host=db.test&port=443';
    const forAda = (await get(await startCluster(), path)).body;
    expect(forAda).toMatchObject({ ...ASKED, allowed: true, rule: 'rule 3' });
    expect(forAda.addresses).toHaveLength(2);
    expect(forAda.addresses).toEqual(
      expect.arrayContaining([
        { address: '10.66.0.1', allowed: false, rule: 'rule 2' },
        { address: '10.96.0.9', allowed: true, rule: 'rule 3' },
      ]),
    );
    expect(JSON.stringify(forAda)).not.toContain('ben');
    const forBen = (await get(await startCluster({ as: 'ben' }), path)).body;
    expect(forBen.addresses).toEqual(
      expect.arrayContaining([{ address: '10.66.0.1', allowed: true, rule: 'rule 1, of ben' }]),
    );
  });

  it.each([
    ['host=10.96.0.7&port=80', { allowed: true, rule: 'rule 3' }],
    ['host=10.96.0.7&port=81', { allowed: false, rule: 'default' }],
    ['host=10.96.0.7&port=80&protocol=udp', { protocol: 'udp', allowed: true, rule: 'rule 3' }],
    ['host=127.0.0.1&port=80', { allowed: false, rule: 'built in: loopback' }],
    ['host=[::1]&port=80', { host: '::1', allowed: false, rule: 'built in: loopback' }],
    ['host=hidden.test&port=80', { allowed: false, rule: 'rule 0' }],
    ['host=fe80::1%251&port=80', { allowed: false, rule: 'built in: an address with a zone', addresses: [] }],
  ])('?%s', async (query, expected) => {
    expect((await get(await startCluster(), `/v1/policy?${query}`)).body).toMatchObject(expected);
  });

  it.each([
    ['host=db.test', 400, 'the parameter "port" is missing'],
    ['port=80', 400, 'the parameter "host" is missing'],
    ['host=db.test&port=0', 400, 'is no number from 1 to 65535'],
    ['host=db.test&port=65536', 400, 'is no number from 1 to 65535'],
    ['host=db.test&port=http', 400, 'is no number from 1 to 65535'],
    ['host=db.test&port=80&protocol=sctp', 400, 'is none of tcp, udp'],
    ['host=nothing.test.&port=80', 404, 'nothing.test.: no such name'],
  ])('?%s is %i', async (query, status, message) => {
    expect(await get(await startCluster(), `/v1/policy?${query}`)).toMatchObject({
      status,
      body: { error: { message: expect.stringContaining(message) } },
    });
  });
});

describe('the information host', () => {
  it('answers other paths and methods with errors that say what to do', async () => {
    const pair = await startCluster();
    expect(await get(pair, '/')).toMatchObject({ status: 404, body: { error: { code: 'no-such-path' } } });
    expect(await get(pair, '/v1/constructor')).toMatchObject({ status: 404 });
    expect(await get(pair, '//')).toMatchObject({ status: 404 });
    expect(await get(pair, '/v1/info', { method: 'POST' })).toMatchObject({
      status: 405,
      headers: expect.stringContaining('Allow: GET'),
      body: { error: { code: 'method-not-allowed', message: '/v1/info takes GET only' } },
    });
  });

  it('takes the whole URL, as a proxy does', async () => {
    expect((await get(await startCluster(), `http://${INFORMATION_HOST.host}/v1/info`)).status).toBe(200);
  });

  it('answers several requests in one connection, also such as do not wait for each other', async () => {
    const connection = await (await startCluster()).connect({ host: INFORMATION_HOST.host, port: 80 });
    const request = `GET /v1/resolve?name=web&type=A HTTP/1.1\r\nHost: x\r\n\r\n`;
    await connection.send(request.repeat(3));
    await connection.send(`GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const answers = String(await connection.takeAll());
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(4);
    expect(answers.match(/10\.96\.0\.7/g)).toHaveLength(3);
  });

  it('answers one request of a connection after the other, and who has ended behind them', async () => {
    let [asking, most] = [0, 0];
    const dns = await startDns(query => {
      most = Math.max(most, ++asking);
      setImmediate(() => asking--);
      return RECORDS(query);
    });
    const pair = await startPair({ server: { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1 } });
    const connection = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    await connection.send('GET /v1/resolve?name=text.test&type=TXT HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
    connection.end();
    const answers = String(await connection.takeAll());
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(20);
    expect(most).toBe(1);
  });

  it('gives no answer that is very long', async () => {
    const data = Array.from({ length: 200 }, () => Buffer.alloc(255, 1));
    const dns = await startDns(query =>
      dnsReply(query, { answers: [{ type: 'TXT', name: query.name, ttl: 9, data }] }),
    );
    const pair = await startPair({ server: { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1 } });
    expect(await get(pair, '/v1/resolve?name=long.test&type=TXT')).toMatchObject({
      status: 502,
      body: { error: { code: 'too-long' } },
    });
  });

  it('answers what is no HTTP, and headers without end, with an error', async () => {
    const pair = await startCluster();
    for (const nonsense of ['nonsense\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`]) {
      const connection = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
      await connection.send(nonsense);
      const got = parsed(String(await connection.takeAll()));
      expect(got).toMatchObject({ status: 400, body: { error: { code: 'bad-request' } } });
    }
  });

  it('is no target that is dialled, at no other port either, nor an observed session', async () => {
    const pair = await startCluster();
    await get(pair, '/v1/info');
    await isSaid(pair, /a connection to the information host closed/);
    const closed = () => pair.log.filter(line => line.includes('"msg":"connection closed"'));
    await expect.poll(closed).toHaveLength(1); // that of ss-local
    const elsewhere = await pair.connect({ host: INFORMATION_HOST.host, port: 81 });
    await elsewhere.send('GET / HTTP/1.1\r\n\r\n');
    await expect(elsewhere.takeAll()).rejects.toThrow();
  });

  it('is closed at the deadline of a handshake, whatever it is asked', async () => {
    const pair = await startCluster({ server: { handshakeTimeout: 500 } });
    const slow = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    await slow.send('GET /v1/info HTTP/1.1\r\nX: ');
    expect(await slow.takeAll().catch(() => Buffer.alloc(0))).toHaveLength(0);
  });

  it('does not hold up a drain', async () => {
    const pair = await startCluster({ server: { drainTimeout: 60_000 } });
    const open = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    await open.send('GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n');
    await open.take(10);
    await pair.server.drain(); // or the test's time is over before
  });
});

describe('GET /v1/throughput', () => {
  it('sends as many zeros as it is asked for', async () => {
    const pair = await startPair();
    const connection = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    await connection.send('GET /v1/throughput?bytes=300000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const answer = await connection.takeAll();
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4);
    expect(body.equals(Buffer.alloc(300_000))).toBe(true);
  });

  it.each(['', 'bytes=', 'bytes=0', 'bytes=-1', 'bytes=4194305', 'bytes=99999999999', 'bytes=1e3'])(
    'refuses %j',
    async query => {
      expect(await get(await startPair(), `/v1/throughput?${query}`)).toMatchObject({
        status: 400,
        body: { error: { code: 'bad-request' } },
      });
    },
  );

  it('measures once in a while only, for no limit of bandwidth holds here', async () => {
    const pair = await startPair();
    const connection = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    // In one connection: each worker has a memory of its own.
    const request = 'GET /v1/throughput?bytes=1 HTTP/1.1\r\nHost: x\r\n';
    await connection.send(`${request}\r\n${request}Connection: close\r\n\r\n`);
    const answers = String(await connection.takeAll());
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 429']);
  });

  it('outlives a client that goes', async () => {
    const pair = await startPair();
    const connection = await pair.connect({ host: INFORMATION_HOST.host, port: 80 });
    await connection.send('GET /v1/throughput?bytes=4194304 HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.read();
    connection.destroy();
    expect((await get(pair, '/v1/info')).status).toBe(200);
  });
});
