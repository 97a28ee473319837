import type { ServerConfig } from '@podsocks/server/config';
import { reply as dnsReply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type Pair, type PairOptions, startPair } from '../support/in-process.ts';
import { startDns } from '../support/named-pair.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { BANNER, FAREWELL, QUIT, startBanner } from '../support/targets/banner.ts';
import { startDigest } from '../support/targets/digest.ts';
import { exchangeWithDuplex, startDuplex } from '../support/targets/duplex.ts';
import { startEcho } from '../support/targets/echo.ts';
import { askBySocks4, askToConnect } from './connect-status-client.ts';

const NOTHING = '0.0.0.0:0';

const POLICY: ServerConfig['policy'] = {
  rules: [
    { action: 'deny', to: ['127.0.0.2', '127.66.0.0/16'].map(parseNetwork), from: 'the test' },
    { action: 'allow', to: ['127.0.0.0/8', '::1'].map(parseNetwork), from: 'the test' },
  ],
  default: 'allow',
};

const NAMES: Script = query =>
  query.name === 'silent.test'
    ? undefined
    : query.name === 'broken.test'
      ? dnsReply(query, { rcode: 2 })
      : zone({
          'web.test': ['127.0.0.1'],
          'six.test': ['::1'],
          'denied.test': ['127.66.0.1'],
          'partly.test': ['127.66.0.1', '127.0.0.1'],
        })(query);

const WAYS: readonly { name: string; options: PairOptions }[] = [
  { name: 'SIP004', options: { method: 'aes-256-gcm' } },
  { name: 'SIP004 with users', options: { method: 'chacha20-ietf-poly1305', users: ['ada', 'ben'], as: 'ben' } },
  { name: 'SIP022', options: { method: '2022-blake3-aes-128-gcm' } },
  { name: 'SIP023', options: { users: ['ada', 'ben'], as: 'ben' } },
  { name: 'SIP004 with workers', options: { method: 'aes-256-gcm', server: { workers: 2 } } },
  { name: 'SIP022 with workers', options: { server: { workers: 2 } } },
];

const echo = suiteResource(() => startEcho(['127.0.0.1', '::1']));
const digest = suiteResource(startDigest);
const banner = suiteResource(startBanner);
const duplex = suiteResource(startDuplex);

/** A pair of which ss-local has learnt what its server can do. */
async function startTruthful({ server, client, ...options }: PairOptions = {}): Promise<Pair> {
  const dns = await startDns(NAMES);
  const names = { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1 };
  const pair = await startPair({
    ...options,
    server: { policy: POLICY, connectTimeout: 700, ...names, ...server },
    client: { connectReply: 'auto', ...client },
  });
  await expect.poll(() => pair.log.join('')).toContain('the server is podsocks');
  return pair;
}

describe.each(WAYS)('a connect, $name,', ({ options }) => {
  it('is answered by what became of it', async () => {
    const pair = await startTruthful(options);
    const { port } = await echo();
    const ask = async (host: string, to = port) => {
      const { reply, bound } = await askToConnect(pair.socksPort, { host, port: to });
      return { reply, bound };
    };
    const closed = await freePort();
    const v6 = `${'00'.repeat(15)}01`;
    expect(await ask('127.0.0.1')).toEqual({ reply: 0, bound: `127.0.0.1:${port}` });
    expect(await ask('::1')).toEqual({ reply: 0, bound: `${v6}:${port}` });
    expect(await ask('web.test')).toEqual({ reply: 0, bound: `127.0.0.1:${port}` });
    expect(await ask('six.test')).toEqual({ reply: 0, bound: `${v6}:${port}` });
    expect(await ask('partly.test')).toEqual({ reply: 0, bound: `127.0.0.1:${port}` });
    expect(await ask('127.0.0.2')).toEqual({ reply: 2, bound: NOTHING });
    expect(await ask('denied.test')).toEqual({ reply: 2, bound: NOTHING });
    expect(await ask('nothing.test')).toEqual({ reply: 4, bound: NOTHING });
    expect(await ask('broken.test')).toEqual({ reply: 4, bound: NOTHING });
    expect(await ask('127.0.0.1', closed)).toEqual({ reply: 5, bound: NOTHING });
    expect(await ask('silent.test')).toEqual({ reply: 6, bound: NOTHING });
    expect(await ask(INFORMATION_HOST.host, 80)).toEqual({ reply: 0, bound: NOTHING });
    expect(await askBySocks4(pair.socksPort, { host: 'web.test', port })).toBe(90);
    expect(await askBySocks4(pair.socksPort, { host: 'web.test', port: closed })).toBe(91);
    expect(await askBySocks4(pair.socksPort, { host: 'nothing.test', port })).toBe(91);
  });

  it('carries the same bytes afterwards, both ways, from either side first, and half-closed', async () => {
    const pair = await startTruthful(options);
    const both = await pair.connect({ host: '127.0.0.1', port: (await duplex()).port });
    const { client, target } = await exchangeWithDuplex(both);
    expect(target.received).toBe(client.sent);
    expect(client.received).toBe(target.sent);

    const request = new PseudoRandom('request').take(1 << 20);
    const half = await pair.connect({ host: 'web.test', port: (await digest()).port });
    await half.send(request);
    half.end();
    expect(String(await half.takeAll())).toBe(sha256(request));

    const served = await pair.connect({ host: '127.0.0.1', port: (await banner()).port });
    expect(String(await served.take(BANNER.length))).toBe(BANNER);
    await served.send(QUIT);
    expect(String(await served.takeAll())).toBe(FAREWELL);
  });

  it('loses nothing of what the client sends before it has its reply', async () => {
    const pair = await startTruthful(options);
    const early = new PseudoRandom('early').take(300_000);
    const asked = await askToConnect(
      pair.socksPort,
      { host: 'web.test', port: (await digest()).port },
      { early, end: true },
    );
    expect(asked.reply).toBe(0);
    expect(String(await asked.connection.takeAll())).toBe(sha256(early));
  });
});

describe('a refusal', () => {
  it('ends in order: the client may send what it likes meanwhile', async () => {
    const pair = await startTruthful();
    const { reply, connection } = await askToConnect(
      pair.socksPort,
      { host: '127.0.0.1', port: await freePort() },
      { early: 'x'.repeat(200_000) },
    );
    expect(reply).toBe(5);
    expect(await connection.takeAll()).toHaveLength(0);
  });

  it('is in the log of both ends', async () => {
    const pair = await startTruthful();
    await askToConnect(pair.socksPort, { host: '127.0.0.2', port: 80 });
    await expect.poll(() => pair.log.join('')).toContain('127.0.0.2:80: not allowed (the test)');
    await expect.poll(() => pair.log.join('')).toContain("not allowed by the server's policy");
  });

  it('leaves nothing open at the server when the client has gone', async () => {
    const pair = await startTruthful({ server: { drainTimeout: 60_000, handshakeTimeout: 60_000 } });
    for (let count = 0; count < 5; count++) {
      const { connection } = await askToConnect(pair.socksPort, { host: 'nothing.test', port: 80 });
      await connection.takeAll();
      connection.end();
    }
    await pair.client.drain();
    await pair.server.drain(); // or the test's time is over before
  });
});

describe('a client that goes', () => {
  it('before its target has answered takes its connection to the server with it', async () => {
    const pair = await startTruthful({ server: { connectTimeout: 60_000 }, client: { drainTimeout: 60_000 } });
    const asked = askToConnect(pair.socksPort, { host: 'silent.test', port: 80 }, { end: true });
    await expect(asked).rejects.toThrow('connection ended');
    await pair.client.drain(); // or the test's time is over before
  });
});

describe('--connect-reply early', () => {
  it('says "succeeded" at once, asks the server for nothing, and resets', async () => {
    const pair = await startPair({ client: { connectReply: 'early' } });
    const { reply, bound, connection } = await askToConnect(pair.socksPort, {
      host: '127.0.0.1',
      port: await freePort(),
    });
    expect({ reply, bound }).toEqual({ reply: 0, bound: NOTHING });
    await connection.send('hello');
    await expect(connection.takeAll()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(pair.log.join('')).not.toContain('the server is');
  });
});
