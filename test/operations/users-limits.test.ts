import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DatagramSession, DatagramStream, startWitnessedEcho } from '../support/datagram-session.ts';
import { startDownload } from '../support/targets/download.ts';
import { KEYS, startUsersServer, usersFile } from './users-server.ts';

// ss-server --users: datagrams of users who come and go, and bandwidth.

describe.each(['2022-blake3-aes-256-gcm', 'aes-256-gcm'])('datagrams of %s', method => {
  it('open no more when their user is gone, in a session that was known either', async () => {
    const target = await startWitnessedEcho();
    const running = await startUsersServer({ method, mode: 'tcp_and_udp', users: usersFile({ ada: {}, ben: {} }) });
    const [adas, bens] = [
      await DatagramSession.begin(running.as('ada')),
      await DatagramSession.begin(running.as('ben')),
    ];
    await adas.ask(targetOf('127.0.0.1', target.port), 'ada 1');
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben 1');
    const ahead = Array.from({ length: 5 }, (_, i) => adas.seal(targetOf('127.0.0.1', target.port), `late ${i}`));
    await running.reload(usersFile({ ben: {} }));
    await expect.poll(() => running.logged(/UDP association closed/).length, { timeout: 10_000 }).toBe(1);
    for (const datagram of ahead) await adas.sendRaw(datagram);
    const renewed = await DatagramSession.begin(running.as('ada'));
    for (let i = 0; i < 5; i++) renewed.send(targetOf('127.0.0.1', target.port), `late ${i}`);
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben 2');
    expect(target.received.filter(({ payload }) => payload.startsWith('late'))).toEqual([]);

    // With their key back they may; what was heard before is still a replay.
    const [first] = ahead;
    await running.reload(usersFile({ ada: {}, ben: {} }));
    await expect
      .poll(async () => {
        await renewed.ask(targetOf('127.0.0.1', target.port), 'back').catch(() => {});
        return target.received.some(({ payload }) => payload === 'back');
      })
      .toBe(true);
    await adas.sendRaw(first!);
    await adas.sendRaw(first!);
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben 3');
    const late = target.received.filter(({ payload }) => payload === 'late 0');
    expect(late.length, 'what was sent twice').toBeLessThanOrEqual(1);
  });

  it('open no more when their user has another key', async () => {
    const target = await startWitnessedEcho();
    const running = await startUsersServer({ method, mode: 'tcp_and_udp', users: usersFile({ ada: {}, ben: {} }) });
    const [adas, bens] = [
      await DatagramSession.begin(running.as('ada')),
      await DatagramSession.begin(running.as('ben')),
    ];
    await adas.ask(targetOf('127.0.0.1', target.port), 'ada 1');
    await running.reload({
      users: [
        { name: 'ada', password: KEYS.cid },
        { name: 'ben', password: KEYS.ben },
      ],
    });
    await expect.poll(() => running.logged(/UDP association closed/).length, { timeout: 10_000 }).toBe(1);
    adas.send(targetOf('127.0.0.1', target.port), 'late');
    await (await DatagramSession.begin(running.as('ada', KEYS.cid))).ask(targetOf('127.0.0.1', target.port), 'new');
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben');
    expect(target.received.map(({ payload }) => payload)).not.toContain('late');
  });

  it('are dropped when their user has expired', async () => {
    const target = await startWitnessedEcho();
    const expires = new Date(Date.now() - 1000).toISOString();
    const running = await startUsersServer({
      method,
      mode: 'tcp_and_udp',
      users: usersFile({ ada: { expires }, ben: {} }),
    });
    const [adas, bens] = [
      await DatagramSession.begin(running.as('ada')),
      await DatagramSession.begin(running.as('ben')),
    ];
    adas.send(targetOf('127.0.0.1', target.port), 'late');
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben');
    await expect.poll(() => running.logged(/datagram dropped: its user has expired/).length).toBe(1);
    expect(target.received.map(({ payload }) => payload)).not.toContain('late');
  });

  it('make room among the associations of their user, and no other', async () => {
    const target = await startWitnessedEcho();
    const users = usersFile({ ada: { max_connections: 2 }, ben: {} });
    const running = await startUsersServer({ method, mode: 'tcp_and_udp', workers: 1, users });
    const bens = await DatagramSession.begin(running.as('ben'));
    await bens.ask(targetOf('127.0.0.1', target.port), 'ben');
    for (let count = 0; count < 4; count++) {
      const session = await DatagramSession.begin(running.as('ada'));
      await session.ask(targetOf('127.0.0.1', target.port), `ada ${count}`);
    }
    const closed = () => running.logged(/UDP association closed/).map(({ user, why }) => [user, why]);
    expect(closed()).toEqual([
      ['ada', 'room'],
      ['ada', 'room'],
    ]);
  });
});

describe('bandwidth', () => {
  it('holds for all connections of a user together, and loses nothing', async () => {
    const target = await startDownload();
    onTestFinished(() => target.close());
    const users = usersFile({ ada: { bandwidth: '2MB' }, ben: {} });
    const running = await startUsersServer({ workers: 1, users, timeout: '1' });
    const download = async (name: 'ada' | 'ben') => {
      const connection = await running.connectAs(name, { host: '127.0.0.1', port: target.port });
      await connection.send('GET\r\n');
      return (await connection.takeAll()).length;
    };
    const began = performance.now();
    expect(await Promise.all(Array.from({ length: 6 }, () => download('ada')))).toEqual(Array(6).fill(1024 * 1024));
    // 6 MiB at 2 MB a second; each connection may have been a read ahead.
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(await download('ben')).toBe(1024 * 1024);
  });

  it.each(['datagrams', 'UDP over TCP'])('beyond it %s are dropped', async how => {
    const target = await startWitnessedEcho();
    const users = usersFile({ ada: { bandwidth: '20kB' } });
    const running = await startUsersServer({ workers: 1, mode: 'tcp_and_udp', users });
    const session =
      how === 'datagrams'
        ? await DatagramSession.begin(running.as('ada'))
        : new DatagramStream(running.as('ada'), { version: 2 });
    for (let count = 0; count < 50; count++) session.send(targetOf('127.0.0.1', target.port), 'x'.repeat(1000));
    await expect.poll(() => running.logged(/datagram dropped: its user has no more of it/).length).toBe(1);
    expect(target.received.length).toBeLessThan(20);
  });
});
