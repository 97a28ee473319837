import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { ClientConfig } from '@podsocks/client/config';
import { clientKeys, serverKey } from '@podsocks/shared/crypto/key-derivation';
import { METHODS, methodNamed } from '@podsocks/shared/crypto/methods';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeOnLinux } from '../support/describe-on-linux.ts';
import { freePort } from '../support/free-port.ts';
import { type PairOptions, startPair } from '../support/in-process.ts';
import { PseudoRandom } from '../support/pseudo-random.ts';
import { Socks5DatagramClient } from '../support/socks5-datagram-client.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import { Association, type AssociationOptions, bindDatagramSocket, datagramTo } from './socks5-association.ts';

const LENGTHS = [0, 1, 1400, 9_000, 60_000];

const echo = suiteResource(() => startDatagramEcho(['127.0.0.1', '::1']));
const tcpEcho = suiteResource(() => startEcho());

const at = async (host: string) => ({ host, port: (await echo()).port });

/** The two ways between ss-local and ss-server. */
const WAYS: readonly { name: string; client: Partial<ClientConfig> }[] = [
  { name: 'by datagrams', client: { mode: 'tcp_and_udp' } },
  { name: 'over TCP', client: { mode: 'tcp_and_udp', udpOverTcp: true } },
];

const isSaid = (log: readonly string[], text: string) => expect.poll(() => log.join('')).toContain(text);

/** Whether a UDP port is left. */
async function isLeft(host: string, port: number): Promise<boolean> {
  const socket = await bindDatagramSocket(host, port).catch(() => undefined);
  if (socket === undefined) return false;
  await new Promise<void>(resolve => socket.close(resolve));
  return true;
}

describe.each(WAYS)('UDP ASSOCIATE $name', ({ client: way }) => {
  const start = ({ server, client, ...options }: PairOptions = {}) =>
    startPair({ ...options, server: { mode: 'tcp_and_udp', ...server }, client: { ...way, ...client } });

  const associated = async (options: PairOptions = {}, association: AssociationOptions = {}) => {
    const pair = await start(options);
    return { pair, own: await Association.open(pair.socksPort, association) };
  };

  /** One datagram there and back. */
  async function echoes(own: Association, payload: string | Buffer = 'hello', host = '127.0.0.1'): Promise<void> {
    const target = await at(host);
    own.send(target, payload);
    const { port, payload: back } = await own.next();
    expect(port).toBe(target.port);
    expect(back.equals(Buffer.from(payload as string))).toBe(true);
  }

  it.each(METHODS.map(({ name }) => name))('carries datagrams of any length, with %s', async method => {
    const { own } = await associated({ method });
    const source = new PseudoRandom(method);
    for (const length of LENGTHS) await echoes(own, source.take(length));
    expect(own.ahead).toBe(0);
  });

  it.each(['127.0.0.1', '::1'])('reaches %s, and tells where an answer came from', async host => {
    const { own } = await associated();
    const target = await at(host);
    for (const length of LENGTHS) {
      const payload = new PseudoRandom(host).take(length);
      own.send(target, payload);
      const answer = await own.next();
      expect({ host: answer.host, port: answer.port }).toEqual(target);
      expect(answer.payload.equals(payload)).toBe(true);
    }
  });

  it('reaches a name, and tells the address that it turned out to be', async () => {
    const { own } = await associated();
    own.send(await at('localhost'), 'hello');
    const { host, payload } = await own.next();
    expect(['127.0.0.1', '::1']).toContain(host);
    expect(String(payload)).toBe('hello');
  });

  it('gives each its own when many send to a name that is not known yet', async () => {
    const pair = await start();
    const target = await at('localhost');
    const all = await Promise.all(Array.from({ length: 8 }, () => Association.open(pair.socksPort)));
    for (const [index, own] of all.entries()) own.send(target, `datagram of ${index}`);
    const answers = await Promise.all(all.map(async own => String((await own.next()).payload)));
    expect(answers).toEqual(all.map((_, index) => `datagram of ${index}`));
  });

  it.each(['2022-blake3-aes-128-gcm', '2022-blake3-aes-256-gcm', 'aes-256-gcm', 'chacha20-ietf-poly1305'])(
    'serves each user under %s',
    async method => {
      for (const as of ['ada', 'ben']) {
        const { own } = await associated({ method, users: ['ada', 'ben'], as });
        await echoes(own, `hello from ${as}`);
      }
    },
  );

  it('serves a client that reads the reply as any does', async () => {
    const pair = await start();
    const own = await Socks5DatagramClient.associate(pair.socksPort);
    const { port } = await echo();
    const answer = new Promise((resolve, reject) => own.onDatagram(resolve, reject));
    own.send('127.0.0.1', port, Buffer.from('hello'));
    expect(await answer).toEqual({ host: '127.0.0.1', port, payload: Buffer.from('hello') });
    own.close();
  });

  it.each<[string, (own: Association) => void]>([
    ['FIN', ({ tcp }) => tcp.end()],
    ['RST', ({ tcp }) => tcp.resetAndDestroy()],
  ])('ends with a %s of the control connection: its port is left', async (_, end) => {
    const { pair, own } = await associated();
    await echoes(own);
    const { host, port } = own.relay;
    expect(await isLeft(host, port)).toBe(false);
    end(own);
    await expect.poll(() => isLeft(host, port)).toBe(true);
    await isSaid(pair.log, 'UDP association closed');
    expect(pair.log.join('')).toMatch(
      /"packetsUp":1,"bytesUp":5,"packetsDown":1,"bytesDown":5[^\n]*UDP association closed/,
    );
    expect(pair.log.join('')).not.toContain('no datagram came back');
    if (way.udpOverTcp) await isSaid(pair.log, 'UDP over TCP closed');
  });

  it('that is ended by the client before it sends anything leaves its port, and blames nobody', async () => {
    const { pair, own } = await associated();
    own.tcp.end();
    await once(own.tcp.resume(), 'close');
    await expect.poll(() => isLeft(own.relay.host, own.relay.port)).toBe(true);
    expect(pair.log.join('')).not.toContain('no datagram came back');
  });

  it('goes on, whatever the client says on its control connection', async () => {
    const uncaught: Error[] = []; // would end the program
    const catches = (error: Error) => void uncaught.push(error);
    process.on('uncaughtExceptionMonitor', catches);
    onTestFinished(() => void process.off('uncaughtExceptionMonitor', catches));
    const { own } = await associated();
    await echoes(own);
    await new Promise<void>(resolve => own.tcp.write('keep alive', () => resolve()));
    await echoes(own);
    await new Promise<void>(resolve => own.tcp.write(new Uint8Array(1_000_000), () => resolve()));
    await echoes(own);
    expect(own.tcp.closed).toBe(false);
    expect(uncaught).toEqual([]);
  });

  it('hears nobody but its client, once that has sent', async () => {
    const { own } = await associated();
    await echoes(own);
    const target = await at('127.0.0.1');
    const before = (await echo()).datagrams();
    for (const host of ['127.0.0.1', '127.0.0.2']) {
      const stranger = await bindDatagramSocket(host);
      await new Promise(resolve =>
        stranger.send(datagramTo(target, 'stranger'), own.relay.port, own.relay.host, resolve),
      );
    }
    await echoes(own);
    expect((await echo()).datagrams() - before).toBe(1);
  });

  it.each<[string, string, AssociationOptions]>([
    ['another host', '127.0.0.2', {}],
    ['another port than was declared', '127.0.0.1', { declared: 'own port' }],
  ])('hears nobody from %s, not even first', async (_, host, options) => {
    const { pair, own } = await associated({}, options);
    const before = (await echo()).datagrams();
    const stranger = await bindDatagramSocket(host);
    stranger.send(datagramTo(await at('127.0.0.1'), 'stranger'), own.relay.port, own.relay.host);
    await isSaid(pair.log, '"reason":"stranger"');
    await echoes(own);
    expect((await echo()).datagrams() - before).toBe(1);
  });

  it('takes what a client sends that has declared its port', async () => {
    const { own } = await associated({}, { declared: 'own port' });
    await echoes(own);
  });

  it('drops fragments and what is malformed, says so, and goes on', async () => {
    const { pair, own } = await associated();
    const target = await at('127.0.0.1');
    const before = (await echo()).datagrams();
    for (const fragment of [1, 0x81]) own.sendBytes(datagramTo(target, 'a part', fragment));
    await isSaid(pair.log, '"reason":"fragment"');
    const header = datagramTo(target, '');
    for (let length = 0; length < header.length; length++) own.sendBytes(header.subarray(0, length));
    own.sendBytes(Uint8Array.of(0, 0, 0, 2, 127, 0, 0, 1, 0, 53));
    await isSaid(pair.log, '"reason":"malformed"');
    await echoes(own);
    expect((await echo()).datagrams() - before).toBe(1);
    own.tcp.end();
    await isSaid(pair.log, `"drops":{"fragment":2,"malformed":${header.length + 1}}`);
  });

  it('gives an IPv6 client a relay at IPv6', async () => {
    const listen = [{ host: '::1', port: 0 }];
    const { own } = await associated({ client: { listen } }, { socksHost: '::1', declared: { host: '::1', port: 0 } });
    expect(own.relay.host).toBe('::1');
    for (const host of ['127.0.0.1', '::1', 'localhost']) await echoes(own, 'hello', host);
  });

  it.each([
    ['0.0.0.0', '127.0.0.3'],
    ['::', '127.0.0.3'],
    ['::', '::1'],
  ])('listening on %s, names the address that the client has connected to: %s', async (host, socksHost) => {
    const { own } = await associated({ client: { listen: [{ host, port: 0 }] } }, { socksHost });
    expect(own.relay.host).toBe(socksHost);
    await echoes(own);
  });

  it('names the address that it was told to', async () => {
    const { own } = await associated({ client: { udpAdvertise: '192.0.2.7' } });
    expect(own.relay.host).toBe('192.0.2.7');
    own.send(await at('127.0.0.1'), 'hello', '127.0.0.1');
    expect(String((await own.next()).payload)).toBe('hello');
  });

  it('has its port from the range, fails when that is exhausted, and goes on', async () => {
    const from = await freePort();
    const { pair, own } = await associated({ client: { udpPorts: { from, to: from } } });
    expect(own.relay.port).toBe(from);
    await expect(Association.open(pair.socksPort)).rejects.toThrow('SOCKS5: reply 1');
    await isSaid(pair.log, `no UDP port from ${from} to ${from} is free (--udp-ports)`);
    await echoes(own);
    const connection = await pair.connect({ host: '127.0.0.1', port: (await tcpEcho()).port });
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
    own.tcp.end();
    await expect.poll(() => isLeft('127.0.0.1', from)).toBe(true);
    const next = await Association.open(pair.socksPort);
    expect(next.relay.port).toBe(from);
    await echoes(next);
  });

  it('asks for the password first, where there is one, and names the user in the log', async () => {
    const user = { username: 'bob', password: 'hunter2' };
    const { pair, own } = await associated({ client: { socksUsers: [user] } }, { user });
    await echoes(own);
    await expect(Association.open(pair.socksPort)).rejects.toThrow('SOCKS5: authentication method 255');
    await expect(Association.open(pair.socksPort, { user: { ...user, password: 'x' } })).rejects.toThrow(
      'SOCKS5: authentication status 1',
    );
    own.tcp.end();
    await isSaid(pair.log, 'UDP association closed');
    expect(pair.log.join('')).toMatch(/"user":"bob"[^\n]*UDP association closed/);
    expect(pair.log.join('')).not.toContain('hunter2');
  });

  it('keeps associations apart', async () => {
    const pair = await start();
    const all = await Promise.all(Array.from({ length: 20 }, () => Association.open(pair.socksPort)));
    const target = await at('127.0.0.1');
    for (let turn = 0; turn < 5; turn++) {
      for (const [index, own] of all.entries()) own.send(target, `${index} in turn ${turn}`);
      const answers = await Promise.all(all.map(async own => String((await own.next()).payload)));
      expect(answers).toEqual(all.map((_, index) => `${index} in turn ${turn}`));
    }
    expect(all.map(({ ahead }) => ahead)).toEqual(all.map(() => 0));
  });

  it('goes on once the server has ended and come back', async () => {
    const method = methodNamed('2022-blake3-aes-256-gcm');
    const password = Buffer.alloc(method.keyBytes, 9).toString('base64');
    const listen = [{ host: '127.0.0.1', port: await freePort() }];
    const server = { key: serverKey(method, password), listen };
    const servers = [{ ...listen[0]!, method, keys: clientKeys(method, password) }];
    const { pair, own } = await associated({ server, client: { servers } });
    await echoes(own);
    await pair.server.close();
    const target = await at('127.0.0.1');
    own.send(target, 'lost');
    await isSaid(pair.log, 'the server cannot be reached');

    await start({ server, client: { servers } });
    await expect
      .poll(() => {
        own.send(target, 'back');
        return own.ahead;
      })
      .toBeGreaterThan(0);
    expect(String((await own.next()).payload)).toBe('back');
  });

  it('is all that there is with udp_only', async () => {
    const { pair, own } = await associated({ client: { mode: 'udp_only' } });
    await echoes(own);
    const { port } = await tcpEcho();
    await expect(pair.connect({ host: '127.0.0.1', port })).rejects.toThrow('SOCKS5: reply 7');
    await isSaid(pair.log, 'SOCKS5 CONNECT is off: ss-local was started for UDP only (-U)');
  });
});

describe('UDP ASSOCIATE', () => {
  it('is refused with tcp_only, and the log says what to do', async () => {
    const pair = await startPair({ server: { mode: 'tcp_and_udp' } });
    await expect(Association.open(pair.socksPort)).rejects.toThrow('SOCKS5: reply 7');
    await isSaid(pair.log, 'SOCKS5 UDP ASSOCIATE is off: start ss-local, and ss-server, with -u');
  });

  it('works with a server that carries no UDP, but nothing comes back, and the log says what to do', async () => {
    const pair = await startPair({ server: { mode: 'tcp_only' }, client: { mode: 'tcp_and_udp' } });
    const own = await Association.open(pair.socksPort);
    own.send(await at('127.0.0.1'), 'hello');
    await isSaid(pair.log, 'no ss-server listens for UDP there (-u)');
    own.tcp.end();
    await isSaid(pair.log, 'no datagram came back');
    expect(own.ahead).toBe(0);
  });

  it('works over TCP with a server that listens for TCP only', async () => {
    const pair = await startPair({ client: { mode: 'tcp_and_udp', udpOverTcp: true } });
    const own = await Association.open(pair.socksPort);
    own.send(await at('127.0.0.1'), 'hello');
    expect(String((await own.next()).payload)).toBe('hello');
  });

  it.each(WAYS)('with another password gets nothing, and the log says so, $name', async ({ client }) => {
    const method = methodNamed('2022-blake3-aes-256-gcm');
    const wrong = Buffer.alloc(method.keyBytes, 1).toString('base64');
    const listen = [{ host: '127.0.0.1', port: await freePort() }];
    const servers = [{ ...listen[0]!, method, keys: clientKeys(method, wrong) }];
    const pair = await startPair({ server: { mode: 'tcp_and_udp', listen }, client: { ...client, servers } });
    const own = await Association.open(pair.socksPort);
    own.send(await at('127.0.0.1'), 'hello');
    await expect.poll(() => pair.log.join('')).toMatch(/no key opens it|request refused|refused/);
    own.tcp.end();
    await isSaid(pair.log, 'no datagram came back');
    expect(own.ahead).toBe(0);
  });

  it.each(WAYS)('is ended when ss-local ends, $name', async ({ client }) => {
    const pair = await startPair({ server: { mode: 'tcp_and_udp' }, client });
    const own = await Association.open(pair.socksPort);
    own.tcp.on('error', () => {});
    await pair.client.close();
    await expect.poll(() => own.tcp.closed).toBe(true);
    await expect.poll(() => isLeft(own.relay.host, own.relay.port)).toBe(true);
  });
});

describeOnLinux('associations that have ended', () => {
  const descriptors = () => readdirSync('/proc/self/fd').length;

  it.each(WAYS)('leave no descriptor behind, $name', async ({ client }) => {
    const pair = await startPair({ server: { mode: 'tcp_and_udp', udpTimeout: 500 }, client });
    const target = await at('127.0.0.1');
    const round = async () => {
      const all = await Promise.all(Array.from({ length: 25 }, () => Association.open(pair.socksPort)));
      for (const own of all) own.send(target, 'hello');
      await Promise.all(all.map(own => own.next()));
      for (const [index, { tcp, socket }] of all.entries()) {
        if (index % 2 === 0) tcp.destroy();
        else tcp.resetAndDestroy();
        socket.close();
      }
    };
    const before = descriptors();
    for (let turn = 0; turn < 4; turn++) await round();
    await expect.poll(descriptors, { timeout: 20_000 }).toBeLessThanOrEqual(before);
  });
});
