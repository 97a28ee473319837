import { connect } from 'node:net';
import { parseForward, parseMap } from '@podsocks/client/forward/fields';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Connection } from '../support/connection.ts';
import { freePort } from '../support/free-port.ts';
import { startPair } from '../support/in-process.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startBanner } from '../support/targets/banner.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import { bindDatagramSocket } from './socks5-association.ts';

const echo = suiteResource(() => startEcho());
const banner = suiteResource(() => startBanner());
const datagrams = suiteResource(() => startDatagramEcho(['127.0.0.1']));

async function open(port: number, host = '127.0.0.1'): Promise<Connection> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const connection = new Connection(socket);
  onTestFinished(() => connection.destroy());
  return connection;
}

describe('a forward', () => {
  it('is the target, both ways and to the end', async () => {
    const port = await freePort();
    await startPair({ client: { forwards: [parseForward(`${port}:127.0.0.1:${(await echo()).port}`)] } });
    const connection = await open(port);
    const source = new PseudoRandom('forward');
    const sent = source.take(1_000_000);
    const sending = connection.send(sent).then(() => connection.end());
    expect(sha256(await connection.takeAll())).toBe(source.digest());
    await sending;
  });

  it('lets the target speak first', async () => {
    const port = await freePort();
    await startPair({ client: { forwards: [parseForward(`${port}:127.0.0.1:${(await banner()).port}`)] } });
    expect((await (await open(port)).read())?.length).toBeGreaterThan(0);
  });

  it.each(['auto', 'early'] as const)('answers a program that has ended its side at once (%s)', async connectReply => {
    const port = await freePort();
    const forwards = [parseForward(`${port}:127.0.0.1:${(await banner()).port}`)];
    await startPair({ client: { connectReply, forwards } });
    const connection = await open(port);
    connection.end();
    expect((await connection.read())?.length).toBeGreaterThan(0);
  });

  it('says where it is, if the system has chosen its port', async () => {
    const target = `127.0.0.1:${(await echo()).port}`;
    const forwards = [parseForward(`0:${target}`), parseForward(`0:${target}/udp`)];
    const pair = await startPair({ client: { mode: 'tcp_and_udp', forwards } });
    const listening = pair.client.status().forwards.map(({ listen }) => Number(listen.split(':')[1]));
    expect(Math.min(...listening)).toBeGreaterThan(0);
    const connection = await open(listening[0]!);
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
  });

  it('is no SOCKS port, whatever comes', async () => {
    const port = await freePort();
    await startPair({ client: { forwards: [parseForward(`${port}:127.0.0.1:${(await echo()).port}`)] } });
    const connection = await open(port);
    await connection.send(Uint8Array.of(5, 1, 0));
    expect([...(await connection.take(3))]).toEqual([5, 1, 0]);
  });

  it('resets a connection whose target is not reached', async () => {
    const [port, nobody] = [await freePort(), await freePort()];
    await startPair({
      client: { connectReply: 'auto', forwards: [parseForward(`${port}:127.0.0.1:${nobody}`)] },
    });
    await expect((await open(port)).takeAll()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('carries datagrams', async () => {
    const port = await freePort();
    const forwards = [parseForward(`${port}:127.0.0.1:${(await datagrams()).port}/udp`)];
    await startPair({ server: { mode: 'tcp_and_udp' }, client: { mode: 'tcp_and_udp', forwards } });
    const own = await bindDatagramSocket('127.0.0.1', 0);
    const answer = new Promise<string>(resolve => own.once('message', data => resolve(String(data))));
    own.send('hello', port, '127.0.0.1');
    expect(await answer).toBe('hello');
  });

  it('that cannot listen leaves nothing behind', async () => {
    const { port } = await echo();
    await expect(startPair({ client: { forwards: [parseForward(`${port}:127.0.0.1:1`)] } })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
  });
});

describe('a map', () => {
  it('listens at an address of its own, with the port of the target', async () => {
    const { port } = await echo();
    const pair = await startPair({ client: { maps: [parseMap(`localhost:${port}`)] } });
    const [mapped] = pair.client.status().maps;
    expect(mapped).toEqual({ name: 'localhost', address: '127.64.0.1', port });
    const connection = await open(port, '127.64.0.1');
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
  });
});
