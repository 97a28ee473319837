import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { testFolder } from '@podsocks/server/users/users-files-fixtures';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { targetOf } from '@podsocks/shared/wire/address';
import { expect, it, onTestFinished } from 'vitest';
import { DatagramSession, startWitnessedEcho } from '../support/datagram-session.ts';
import { silent, startDns } from '../support/named-pair.ts';
import { startEcho } from '../support/targets/echo.ts';
import { startTarget } from '../support/targets/target.ts';
import { echoes, startUsersServer, usersFile } from './users-server.ts';

// ss-server --users: those who go while something of theirs is only beginning, and those who have as much as they may.

const PATIENCE = { timeout: 10_000 };

async function echo() {
  const target = await startEcho();
  onTestFinished(() => target.close());
  return target;
}

it('nothing of a user goes out who was removed while their target was being looked up', async () => {
  const heard: Buffer[] = [];
  const target = await startTarget(async connection => {
    for (let bytes = await connection.read(); bytes !== undefined; bytes = await connection.read()) heard.push(bytes);
  });
  onTestFinished(() => target.close());
  const dns = await startDns(silent);
  const audit = `${testFolder()}/audit`;
  const config = { nameservers: [dns.at], dnsSearch: [], dnsNdots: 1, audit };
  const running = await startUsersServer({ users: usersFile({ ada: {}, ben: {} }), config });
  const { port, method, keys } = running.as('ada');
  const sealer = clientStreams(streamServices(method, 'auto')).sealRequest(keys, targetOf('slow.test', target.port));
  const payload = Buffer.from('DELETE /everything');
  const flight = Buffer.alloc(sealer.sealedLength(payload.length));
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write(flight.subarray(0, sealer.seal(flight, 0, payload, 0, payload.length)));
  await expect.poll(() => dns.asked.length, PATIENCE).toBeGreaterThan(0);
  await running.reload(usersFile({ ben: {} }));
  dns.script = zone({ 'slow.test': ['127.0.0.1'] });
  await expect.poll(() => target.connections(), PATIENCE).toBe(1);
  await running.server.drain();
  expect(Buffer.concat(heard).toString()).toBe('');
  expect(readFileSync(audit, 'utf8')).not.toContain('"opened"');
});

it('what a user began by UDP makes room for their connections', async () => {
  const [target, datagrams] = [await echo(), await startWitnessedEcho()];
  const users = usersFile({ ada: { max_connections: 2 } });
  const running = await startUsersServer({ users, mode: 'tcp_and_udp', workers: 1 });
  for (let i = 0; i < 4; i++) {
    await (await DatagramSession.begin(running.as('ada'))).ask(targetOf('127.0.0.1', datagrams.port), `${i}`);
  }
  const destination = { host: '127.0.0.1', port: target.port };
  const both = [await running.connectAs('ada', destination), await running.connectAs('ada', destination)];
  expect(await Promise.all(both.map(connection => echoes(connection)))).toEqual([true, true]);
  const third = await running.connectAs('ada', destination).catch(() => undefined);
  expect(third === undefined ? false : await echoes(third)).toBe(false);
});

it('who is removed asks the information host nothing more', async () => {
  const running = await startUsersServer({ users: usersFile({ ada: {}, ben: {} }) });
  const connection = await running.connectAs('ada', { host: 'info.podsocks.internal', port: 80 });
  const ask = 'GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n';
  await connection.send(ask);
  expect(String(await connection.read())).toMatch(/^HTTP\/1\.1 200/);
  await running.reload(usersFile({ ben: {} }));
  await connection.send(ask).catch(() => {});
  const answer = await connection.read().catch(() => undefined);
  expect(answer === undefined ? '' : String(answer)).toBe('');
});

it('that datagrams come of a user who has expired is in the audit, once', async () => {
  const audit = `${testFolder()}/audit`;
  const users = usersFile({ ada: { expires: '2020-01-01T00:00:00Z' }, ben: {} });
  const running = await startUsersServer({ users, mode: 'tcp_and_udp', config: { audit } });
  const datagrams = await startWitnessedEcho();
  const [adas, bens] = [await DatagramSession.begin(running.as('ada')), await DatagramSession.begin(running.as('ben'))];
  for (let i = 0; i < 5; i++) adas.send(targetOf('127.0.0.1', datagrams.port), 'late');
  await bens.ask(targetOf('127.0.0.1', datagrams.port), 'behind them');
  await running.server.close();
  const records = readFileSync(audit, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  expect(records.filter(({ user }) => user === 'ada')).toEqual([
    expect.objectContaining({ event: 'refused', protocol: 'udp', reason: 'expired' }),
  ]);
});
