import { type AddressInfo, createServer, type Socket } from 'node:net';
import { examine } from '@podsocks/client/doctor/examine';
import { type ExaminedServer, examinedServer } from '@podsocks/client/doctor/examined-server';
import { exitCodeOf, type Finding, type Stage } from '@podsocks/client/doctor/finding';
import type { Server } from '@podsocks/client/servers';
import { serverDialler } from '@podsocks/client/servers/dial-server';
import type { ServerConfig } from '@podsocks/server/config';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { startPair } from '../support/in-process.ts';
import { silent, startDns, startWith } from '../support/named-pair.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';

const METHOD = methodNamed('2022-blake3-aes-256-gcm');
const OTHER_KEY = clientKeys(METHOD, Buffer.alloc(32, 9).toString('base64'));

const echo = suiteResource(() => startEcho());
const target = async () => targetOf('127.0.0.1', (await echo()).port);

/** The server of a pair, as the configuration of its client has it. */
async function startServer(server: Partial<ServerConfig> = {}, method: string = METHOD.name): Promise<Server> {
  return (await startPair({ method, server })).toServer;
}

function examined(server: Server, changes: Partial<ExaminedServer> = {}): ExaminedServer {
  const dialServer = serverDialler({ ipv6First: false, noDelay: true });
  return { ...examinedServer(server, { cryptoBackend: 'auto' }, dialServer), ...changes };
}

async function findings(link: ExaminedServer, to?: Target): Promise<Finding[]> {
  const found: Finding[] = [];
  await examine({ link, target: to, report: finding => found.push(finding) });
  return found;
}

/** The stage that failed, what was found, and what is to be done. */
async function failure(
  link: ExaminedServer,
  to?: Target,
): Promise<{ stage?: Stage; found?: string; advice?: string; code: number }> {
  const all = await findings(link, to);
  const { stage, found, advice } = all.find(({ result }) => result === 'failed') ?? {};
  const code = exitCodeOf([{ server: '', findings: all }]);
  return { ...(stage && { stage }), ...(found && { found }), ...(advice && { advice }), code };
}

describe('a doctor', () => {
  it('finds nothing where all is well', async () => {
    const all = await findings(examined(await startServer()), await target());
    expect(all.map(({ stage, result }) => `${stage} ${result}`)).toEqual([
      'name ok',
      'tcp ok',
      'key ok',
      'clock ok',
      'extensions ok',
      'policy ok',
      'dial ok',
      'throughput ok',
    ]);
    expect(all.at(-1)?.found).toMatch(/^round trip [\d.]+ ms, [\d.]+ MB\/s down$/);
    expect(exitCodeOf([{ server: '', findings: all }])).toBe(0);
  });

  it('finds a name that there is not', async () => {
    const server = { ...(await startServer()), host: 'a..b' };
    expect(await failure(examined(server))).toMatchObject({
      code: 10,
      stage: 'name',
      advice: expect.stringMatching(/how it is spelt/),
    });
  });

  it('finds a port where nobody listens', async () => {
    const server = { ...(await startServer()), port: await freePort() };
    expect(await failure(examined(server))).toMatchObject({
      code: 11,
      stage: 'tcp',
      found: expect.stringMatching(/connection refused/),
      advice: expect.stringMatching(/nothing listens on port .*get service/),
    });
  });

  it('finds packets that are dropped', async () => {
    const late = new PodsocksError('ERR_TIMEOUT', '192.0.2.1:8388: no answer within 5 s');
    const link = examined(await startServer(), { dial: () => Promise.reject(late) });
    expect(await failure(link)).toMatchObject({ code: 11, stage: 'tcp', advice: expect.stringMatching(/firewall/) });
  });

  it.each([
    ['another key', OTHER_KEY],
    ['a user that there is not', clientKeys(METHOD, `${key(1)}:${key(2)}`)],
  ])('finds %s', async (_, keys) => {
    const server = { ...(await startServer()), keys };
    expect(await failure(examined(server))).toMatchObject({
      code: 12,
      stage: 'key',
      found: expect.stringMatching(/says nothing/),
      advice: expect.stringMatching(/ask for a new URL.*date -u/),
    });
  });

  it.each([
    ['2022-blake3-chacha20-poly1305', '2022-blake3-aes-256-gcm'],
    ['chacha20-ietf-poly1305', 'aes-256-gcm'],
  ])('finds that the server speaks %s, not %s', async (theirs, ours) => {
    const server = await startServer({}, theirs);
    const link = examined({ ...server, method: methodNamed(ours) });
    expect(await failure(link)).toMatchObject({
      code: 12,
      stage: 'key',
      found: `the server speaks ${theirs}, and not ${ours}`,
    });
  });

  it.each([
    [-300, /is (299|300|301) s behind/],
    [90, /is (89|90|91) s ahead of/],
    [-7200, /is (7199|7200|7201) s behind/],
  ])('finds a clock that is %i s away', async (offset, words) => {
    const link = examined(await startServer());
    const services = { ...link.services, unixTime: () => Math.floor(Date.now() / 1000) + offset };
    const shifted = { ...link, services, streams: clientStreams(services) };
    const found = await findings(shifted);
    expect(found.map(({ stage, result }) => `${stage} ${result}`)).toEqual([
      'name ok',
      'tcp ok',
      'key ok',
      'clock failed',
    ]);
    expect(found.at(-1)).toMatchObject({
      found: expect.stringMatching(words),
      advice: expect.stringContaining('NTP'),
    });
    expect(exitCodeOf([{ server: '', findings: found }])).toBe(13);
  });

  it('finds that something else listens there', async () => {
    const port = await startStranger(socket =>
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'.repeat(3)),
    );
    const server = { ...(await startServer()), port };
    expect(await failure(examined(server))).toMatchObject({
      code: 12,
      stage: 'key',
      advice: expect.stringMatching(/something else/),
    });
  });

  it('cannot tell of a plain server whether the key is right, and says so', async () => {
    const port = await startStranger(socket => socket.once('data', () => socket.end()));
    const server = { ...(await startServer()), port };
    const found = await findings(examined(server));
    expect(found.at(-1)).toMatchObject({
      stage: 'key',
      result: 'warning',
      found: expect.stringMatching(/of another kind/),
      advice: expect.stringMatching(/host:port/),
    });
  });

  it('finds a name that the cluster does not have', async () => {
    const dns = await startDns(zone({}));
    const link = examined((await startWith([dns])).toServer);
    expect(await failure(link, targetOf('wbe.default.example', 80))).toMatchObject({
      code: 15,
      stage: 'dns',
      advice: expect.stringMatching(/there is no such name in the cluster.*grep wbe/),
    });
  });

  it('finds that the DNS of the cluster is silent', async () => {
    const link = examined((await startWith([await startDns(silent)])).toServer);
    expect(await failure(link, targetOf('web.default.example', 80))).toMatchObject({
      code: 15,
      stage: 'dns',
      advice: expect.stringMatching(/kube-dns/),
    });
  });

  it('finds what the policy denies', async () => {
    const link = examined(await startServer({ policy: { rules: [], default: 'deny' } }));
    expect(await failure(link, await target())).toMatchObject({
      code: 16,
      stage: 'policy',
      advice: expect.stringMatching(/--allow/),
    });
  });

  it('finds that nobody listens at the target', async () => {
    const link = examined(await startServer());
    expect(await failure(link, targetOf('127.0.0.1', await freePort()))).toMatchObject({
      code: 17,
      stage: 'dial',
      found: expect.stringMatching(/connection refused/),
      advice: expect.stringMatching(/check the port of the Service/),
    });
  });

  it('says what is between here and the server, and does not look its name up', async () => {
    const link = examined({ ...(await startServer()), host: 'localhost' }, { through: 'the proxy http://proxy:3128' });
    const [name, tcp] = await findings(link);
    expect(name).toMatchObject({
      stage: 'name',
      result: 'skipped',
      found: 'localhost is looked up by the proxy http://proxy:3128',
    });
    expect(tcp).toMatchObject({ result: 'ok', found: expect.stringMatching(/through the proxy/) });
  });
});

describe('exit codes', () => {
  const ok: Finding = { stage: 'name', result: 'ok', found: '' };
  const failed: Finding = { stage: 'tcp', result: 'failed', found: '' };

  it('are 0 when one of several servers is well', () => {
    expect(
      exitCodeOf([
        { server: 'a', findings: [failed] },
        { server: 'b', findings: [ok] },
      ]),
    ).toBe(0);
    expect(
      exitCodeOf([
        { server: 'a', findings: [failed] },
        { server: 'b', findings: [failed] },
      ]),
    ).toBe(11);
  });
});

function key(byte: number): string {
  return Buffer.alloc(32, byte).toString('base64');
}

/** Something that listens, and is no Shadowsocks server. */
async function startStranger(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
