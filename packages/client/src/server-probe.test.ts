import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Asked, startFakeServer } from './server-fixtures.ts';
import { probeServer } from './server-probe.ts';

const INFORMATION = {
  podsocks: { version: '1.2.3' },
  time: new Date().toISOString(),
  user: 'ada',
  features: ['connect-status', 'something-new'],
  cluster: {
    domain: 'cluster.local',
    namespace: 'default',
    nameservers: ['10.96.0.10'],
    search: ['default.svc.cluster.local'],
    ndots: 5,
    allowed: ['10.0.0.0/8'],
    default: 'deny',
  },
};

function http(body: string, { status = '200 OK', headers = '' } = {}): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}

const says = (text: string) => (asked: Asked) => void asked.socket.write(asked.seal(text));
const tells = (information: unknown) => says(http(JSON.stringify(information)));

async function probe(serve: (asked: Asked) => void, timeout = 2_000) {
  const server = await startFakeServer(serve);
  const { signal } = new AbortController();
  const outcome = await probeServer({ ...server, timeout, signal });
  await expect.poll(server.open).toBe(0); // whatever came of it, nothing is left
  return outcome;
}

describe('a server', () => {
  it('is asked by a request that any server understands', async () => {
    const asked = await new Promise<Asked>(resolve => {
      void probe(request => {
        resolve(request);
        request.socket.destroy();
      });
    });
    expect(asked.request).toMatchObject({ target: INFORMATION_HOST, wantsStatus: false });
    expect(asked.payload).toMatch(/^GET \/v1\/info HTTP\/1\.1\r\nHost: info\.podsocks\.internal\r\n/);
  });

  it('that says so is podsocks', async () => {
    expect(await probe(tells(INFORMATION))).toEqual({
      kind: 'podsocks',
      server: {
        ...{ version: '1.2.3', user: 'ada', clockAhead: expect.any(Number) },
        ...{ hasConnectStatus: true, carriesUdp: false, carriesUdpOverTcp: false },
        ...{ domain: 'cluster.local', namespace: 'default', search: ['default.svc.cluster.local'], ndots: 5 },
        ...{ nameservers: [{ host: '10.96.0.10', port: 53 }], allowed: ['10.0.0.0/8'], default: 'deny' },
      },
      roundTrip: expect.any(Number),
    });
  });

  it('may come in pieces, and leave things out', async () => {
    const information = { podsocks: { version: '2.0.0-rc.1' }, features: [], cluster: { domain: null } };
    const outcome = await probe(({ socket, seal }) => {
      const text = http(JSON.stringify(information));
      for (let at = 0; at < text.length; at += 7) socket.write(seal(text.slice(at, at + 7)));
    });
    expect(outcome).toMatchObject({
      kind: 'podsocks',
      server: { version: '2.0.0-rc.1', domain: undefined, hasConnectStatus: false },
    });
  });

  it.each<[string, (asked: Asked) => void]>([
    ['FIN', ({ socket }) => void socket.end()],
    ['RST', ({ socket }) => void socket.resetAndDestroy()],
  ])('that ends without a byte, by %s, is another one', async (_, serve) => {
    expect(await probe(serve)).toEqual({ kind: 'plain', roundTrip: expect.any(Number) });
  });

  it.each<[string, (asked: Asked) => void, string]>([
    ['says nothing', () => {}, 'no answer within 0.3 s'],
    ['begins and stops', says('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{'), 'no answer within 0.3 s'],
    ['answers with a page', says(http('<html>', { status: '302 Found' })), 'HTTP status 302'],
    ['answers with another page', says(http('<html>')), 'no JSON'],
    ['answers with other JSON', tells({ status: 'ok' }), 'no version of podsocks'],
    ['answers with a list', tells([1]), 'no version of podsocks'],
    ['answers with null', tells(null), 'no version of podsocks'],
    ['writes into the log', tells({ ...INFORMATION, podsocks: { version: '1\n2' } }), 'no version of podsocks'],
    ['lists no features', tells({ ...INFORMATION, features: 'connect-status' }), 'no list of features'],
    ['says too much', says(http('x'.repeat(100_000))), 'more than 65536 bytes'],
    ['never ends', says(`HTTP/1.1 200 OK\r\n\r\n${' '.repeat(500_000)}`), 'more than 65536 bytes'],
    ['has headers without end', says(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`), 'Header overflow'],
    ['turns to another protocol', says(http('', { status: '101 Switching Protocols' })), 'HTTP status 101'],
    [
      'turns to the one it names',
      says('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx'),
      'HTTP status 101',
    ],
    ['speaks no HTTP', says('SSH-2.0-OpenSSH_9.9\r\n'), 'Parse Error'],
    ['cuts its answer', ({ socket, seal }) => socket.end(seal(http('{}')).subarray(0, 60)), 'inside a chunk'],
    ['does not know the key', ({ socket }) => void socket.write(Buffer.alloc(200)), 'does not open'],
  ])('that %s is unknown', async (_, serve, reason) => {
    expect(await probe(serve, 300)).toEqual({ kind: 'unknown', reason: expect.stringContaining(reason) });
  });

  it('that cannot be reached is unknown', async () => {
    const server = await startFakeServer(() => {});
    const dialServer = () => Promise.reject(new PodsocksError('ERR_DIAL', 'connection refused'));
    const { signal } = new AbortController();
    const outcome = await probeServer({ ...server, dialServer, timeout: 1_000, signal });
    expect(outcome).toEqual({ kind: 'unknown', reason: 'connection refused' });
  });

  it('that is silent has its time also while garbage is collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const timer = setInterval(collect, 20);
    onTestFinished(() => clearInterval(timer));
    expect(await probe(() => {}, 300)).toMatchObject({ kind: 'unknown' });
  });

  it('that is being asked when ss-local ends is let go', async () => {
    const closing = new AbortController();
    const server = await startFakeServer(() => closing.abort());
    const outcome = await probeServer({ ...server, timeout: 60_000, signal: closing.signal });
    expect(outcome.kind).toBe('unknown');
    await expect.poll(server.open).toBe(0);
  });
});
