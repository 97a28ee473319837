import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { createLogger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { answerInformation, fakeEntry, startFakeServer } from '../server-fixtures.ts';
import type { Server } from '../servers.ts';
import { type DialServer, serverDialler } from './dial-server.ts';
import { type PoolConfig, ServerPool, type ServerPoolOptions } from './server-pool.ts';

const CONFIG: PoolConfig = { connectTimeout: 5_000, ipv6First: false, noDelay: true, cryptoBackend: 'auto' };

/** Directly, but to those servers that the test makes unreachable. */
function network() {
  const direct = serverDialler(CONFIG);
  const lost = new Map<number, 'silent' | 'refusing'>();
  const dialled: number[] = [];
  const dialServer: DialServer = (server, options) => {
    dialled.push(server.port);
    const state = lost.get(server.port);
    if (state === undefined) return direct(server, options);
    if (state === 'refusing') {
      return Promise.reject(new PodsocksError('ERR_DIAL', `${formatTarget(server)}: connection refused`));
    }
    return new Promise((_, reject) => {
      const fail = (code: 'ERR_TIMEOUT' | 'ERR_CLOSED') =>
        reject(new PodsocksError(code, `${formatTarget(server)}: no answer within ${options.timeout / 1000} s`));
      const timer = setTimeout(fail, options.timeout, 'ERR_TIMEOUT');
      options.signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        fail('ERR_CLOSED');
      });
    });
  };
  return { lost, dialled, dialServer };
}

function poolOf(servers: readonly Server[], options: Partial<ServerPoolOptions> = {}) {
  const lines: string[] = [];
  const log = createLogger({
    ...{ level: 'info', format: 'json', name: 'test' },
    destination: { write: (line: string) => void lines.push(JSON.parse(line).msg) },
  });
  const pool = new ServerPool({ servers, config: CONFIG, askExtensions: true, log, ...options });
  onTestFinished(() => pool.close());
  return { pool, lines };
}

const podsocks = async (name?: string) => {
  const fake = await startFakeServer(asked => answerInformation(asked));
  return { ...fake, server: { ...fake.server, ...(name && { name }) } };
};

const areHealthy = (pool: ServerPool) =>
  expect.poll(() => pool.links.map(({ health }) => health.state)).toEqual(pool.links.map(() => 'healthy'));

afterEach(() => void vi.useRealTimers());

describe('one server', () => {
  it('is dialled, and nothing else', async () => {
    const { server, open } = await podsocks();
    const { dialled, dialServer } = network();
    const { pool } = poolOf([server], { dialServer, askExtensions: false });
    const { link, connection } = await pool.reach();
    expect(link).toBe(pool.active);
    await expect.poll(open).toBe(1);
    connection.close();
    await expect.poll(open).toBe(0);
    expect(dialled).toEqual([server.port]);
    expect(pool.mayMove).toBe(false);
  });

  it('is asked what it is, and its health is what that says', async () => {
    const { server } = await podsocks('berlin');
    const { pool } = poolOf([server]);
    await expect.poll(() => pool.status()[0]?.kind).toBe('podsocks');
    expect(pool.status()).toEqual([
      {
        name: 'berlin',
        address: formatTarget(server),
        method: 'aes-256-gcm',
        ...{ health: 'healthy', active: true, roundTrip: expect.any(Number), kind: 'podsocks', version: '1.2.3' },
        ...{ connections: 0, total: 0, failed: 0 },
      },
    ]);
  });

  it('fails with its own error', async () => {
    const { server } = await podsocks();
    const { lost, dialServer } = network();
    lost.set(server.port, 'refusing');
    const { pool } = poolOf([server], { dialServer, askExtensions: false });
    await expect(pool.reach()).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: `127.0.0.1:${server.port}: connection refused`,
    });
    expect(pool.status()[0]).toMatchObject({ health: 'unhealthy', reason: expect.stringContaining('refused') });
    lost.clear();
    (await pool.reach()).connection.close();
    expect(pool.status()[0]).toMatchObject({ health: 'unknown' });
  });

  it('counts what goes there', async () => {
    const { server } = await podsocks();
    const { pool } = poolOf([server]);
    pool.active.begun();
    pool.active.begun();
    pool.active.ended(true);
    expect(pool.status()[0]).toMatchObject({ connections: 1, total: 2, failed: 1 });
  });
});

describe('of several servers', () => {
  it('the next one is taken at once when the first refuses', async () => {
    const [one, two] = [await podsocks(), await podsocks('two')];
    const { lost, dialServer } = network();
    lost.set(one.server.port, 'refusing');
    const { pool, lines } = poolOf([one.server, two.server], { dialServer });
    const moved = new Promise(resolve => pool.onActiveChange(resolve));
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[1]);
    expect(await moved).toBe(link);
    expect(pool.active).toBe(link);
    const [refused, taken] = [formatTarget(one.server), `two (${formatTarget(two.server)})`];
    expect(lines).toContain(`new connections go to ${taken}: ${refused} is unhealthy: ${refused}: connection refused`);
    await expect
      .poll(() => pool.status().map(({ health, active }) => [health, active]))
      .toEqual([
        ['unhealthy', false],
        ['healthy', true],
      ]);
  });

  it('the next one is tried beside the first when that is late, and the first is suspected', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { lost, dialServer } = network();
    const { pool } = poolOf([one.server, two.server], { dialServer });
    await areHealthy(pool);
    lost.set(one.server.port, 'silent');
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[1]);
    expect(pool.links[0]!.health.isSuspect).toBe(true);
    // While it is suspected, nobody waits for it.
    const again = await pool.reach();
    again.connection.close();
    expect(again.link).toBe(link);
    await expect.poll(() => pool.active, { timeout: 5_000 }).toBe(link);
    expect(pool.status()[0]).toMatchObject({ health: 'unhealthy', reason: expect.stringContaining('within 2.5 s') });
  });

  it('a first one that connects late after all is closed again', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    let connect = () => {};
    const direct = serverDialler(CONFIG);
    const late: DialServer = async (server, options) => {
      const connection = await direct(server, { timeout: options.timeout });
      if (server.port === one.server.port) {
        await new Promise<void>(resolve => {
          connect = resolve;
        });
      }
      return connection;
    };
    const { pool } = poolOf([one.server, two.server], { dialServer: late, probes: false, askExtensions: false });
    const { link, connection } = await pool.reach();
    expect(link).toBe(pool.links[1]);
    await expect.poll(one.open).toBe(1);
    connect();
    await expect.poll(one.open).toBe(0);
    expect(connection.socket.destroyed).toBe(false);
    connection.close();
  });

  it('one that accepts and never answers is left once a request of it is suspected', async () => {
    let isSilent = false;
    const one = await startFakeServer(asked => isSilent || answerInformation(asked));
    const two = await podsocks();
    const { pool } = poolOf([one.server, two.server]);
    await areHealthy(pool);
    const [first, second] = pool.links;
    expect(pool.active).toBe(first);
    isSilent = true;
    const lost = new Promise(resolve => first!.onUnhealthy(resolve));
    await vi.waitFor(
      () => {
        first!.suspect('it has not answered a request for 2 s');
        expect(first!.isProbing).toBe(true);
      },
      { timeout: 3_000 },
    );
    const meanwhile = await pool.reach();
    meanwhile.connection.close();
    expect(meanwhile.link).toBe(second);
    expect(await lost).toBe('no answer within 2.5 s');
    expect(pool.active).toBe(second);
  });

  it('one that was silent for a while is probed along with a request', async () => {
    let isSilent = false;
    let offset = 0;
    const one = await startFakeServer(asked => isSilent || answerInformation(asked));
    const two = await podsocks();
    const { pool } = poolOf([one.server, two.server], { now: () => performance.now() + offset });
    await areHealthy(pool);
    isSilent = true;
    offset += 2_000;
    (await pool.reach()).connection.close();
    expect(pool.links[0]!.isProbing).toBe(true);
    await expect.poll(() => pool.active, { timeout: 5_000 }).toBe(pool.links[1]);
  });

  it('one that was podsocks and closes every connection now is unhealthy', async () => {
    let isGone = false;
    const one = await startFakeServer(asked => {
      if (isGone) asked.socket.end();
      else answerInformation(asked);
    });
    const two = await podsocks();
    const { pool } = poolOf([one.server, two.server]);
    await areHealthy(pool);
    isGone = true;
    await pool.links[0]!.probe();
    expect(pool.status()[0]).toMatchObject({ health: 'unhealthy', reason: expect.stringContaining('closes') });
    expect(pool.active).toBe(pool.links[1]);
  });

  it('all are tried when none is there, and each says why', async () => {
    const servers = [await podsocks(), await podsocks(), await podsocks()].map(({ server }) => server);
    const { lost, dialServer } = network();
    for (const { port } of servers) lost.set(port, 'refusing');
    const { pool } = poolOf(servers, { dialServer });
    let told = 0;
    pool.onUnreachable(() => told++);
    const error = await pool.reach().catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: 'ERR_DIAL',
      message: expect.stringMatching(/^none of 3 servers can be reached: /),
    });
    for (const { port } of servers) expect((error as Error).message).toContain(`127.0.0.1:${port}: connection refused`);
    expect(told).toBe(1);
    lost.delete(servers[2]!.port);
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[2]);
  });

  it('those to be avoided are tried last', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { lost, dialServer } = network();
    const { pool } = poolOf([one.server, two.server], { dialServer });
    await areHealthy(pool);
    const avoid = new Set([pool.links[0]!]);
    for (const expected of [1, 0]) {
      const { link, connection } = await pool.reach({ avoid });
      connection.close();
      expect(pool.links.indexOf(link)).toBe(expected);
      lost.set(two.server.port, 'refusing');
    }
  });

  it('none is tried any more when the request is given up', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { lost, dialServer } = network();
    for (const { server } of [one, two]) lost.set(server.port, 'silent');
    const { pool } = poolOf([one.server, two.server], { dialServer, probes: false });
    const giveUp = new AbortController();
    const reached = pool.reach({ signal: giveUp.signal });
    giveUp.abort();
    await expect(reached).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(pool.reach({ signal: giveUp.signal })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('a slow one is left for a fast one at the start', async () => {
    const slow = await startFakeServer(asked => void setTimeout(() => answerInformation(asked), 150));
    const fast = await podsocks();
    const { pool } = poolOf([slow.server, fast.server]);
    await expect.poll(() => pool.active, { timeout: 5_000 }).toBe(pool.links[1]);
  });

  it('at the start, one that accepts and never answers gets no request', async () => {
    const silent = await startFakeServer(() => {});
    const slow = await startFakeServer(asked => void setTimeout(() => answerInformation(asked), 200));
    const { pool } = poolOf([silent.server, slow.server]);
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[1]);
  });

  it('at the start, nobody is waited for for long', async () => {
    const silent = [await startFakeServer(() => {}), await startFakeServer(() => {})];
    const { pool } = poolOf(silent.map(({ server }) => server));
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[0]);
    expect(pool.links.map(({ isProbing }) => isProbing)).toEqual([true, true]);
  });

  it('news of the cluster are told', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { pool } = poolOf([one.server, two.server]);
    const told = new Set();
    pool.onNews(link => void told.add(link));
    await areHealthy(pool);
    expect(told).toEqual(new Set(pool.links));
    expect(pool.active.extensions.known).toMatchObject({ version: '1.2.3' });
  });
});

describe('after a sleep', () => {
  it('all servers are looked at anew, from the one in use', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { lost, dialServer, dialled } = network();
    let offset = 0;
    const { pool, lines } = poolOf([one.server, two.server], { dialServer, now: () => performance.now() + offset });
    await areHealthy(pool);
    lost.set(one.server.port, 'refusing');
    dialled.length = 0;
    offset += 60_000;
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.links[1]);
    expect(lines).toContain('this machine or process has slept: all servers are looked at anew');
    await expect.poll(() => pool.active).toBe(pool.links[1]);
    expect(new Set(dialled)).toEqual(new Set([one.server.port, two.server.port]));
  });

  it('the fastest is taken, as at the start', async () => {
    let delay = 0;
    let offset = 0;
    const one = await startFakeServer(asked => void setTimeout(() => answerInformation(asked), delay));
    const two = await podsocks();
    const { pool } = poolOf([one.server, two.server], { now: () => performance.now() + offset });
    await areHealthy(pool);
    delay = 150;
    offset += 60_000;
    (await pool.reach()).connection.close();
    await expect.poll(() => pool.active, { timeout: 5_000 }).toBe(pool.links[1]);
  });

  it('a probe from before does not count', async () => {
    let offset = 0;
    let unanswered = 0;
    let isSilent = false;
    const one = await startFakeServer(asked => {
      if (isSilent) unanswered++;
      else answerInformation(asked);
    });
    const two = await podsocks();
    const { pool } = poolOf([one.server, two.server], { now: () => performance.now() + offset });
    await areHealthy(pool);
    isSilent = true;
    const probing = pool.links[0]!.probe();
    await expect.poll(() => unanswered).toBe(1);
    offset += 60_000;
    isSilent = false;
    await probing; // which ends late
    expect(pool.links[0]!.health.state).toBe('unknown');
    await areHealthy(pool);
    expect(pool.active).toBe(pool.links[0]);
  });
});

describe('while nobody asks', () => {
  it('probes stop after five minutes, and start again with a request', async () => {
    vi.useFakeTimers({ now: 0 });
    const { dialServer, dialled, lost } = network();
    lost.set(1, 'refusing').set(2, 'refusing');
    const { pool } = poolOf([fakeEntry(1), fakeEntry(2)], { dialServer, now: () => Date.now(), random: () => 0.5 });
    await vi.advanceTimersByTimeAsync(60_000);
    // At 0, then after 5, 7.5, 11.25, 16.9, 25.3 s.
    expect(dialled.length).toBe(2 * 5);
    await vi.advanceTimersByTimeAsync(300_000);
    const until = dialled.length;
    expect(until).toBeLessThan(2 * 5 + 2 * 10);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(dialled.length).toBe(until);
    await pool.reach().catch(() => {});
    await vi.advanceTimersByTimeAsync(1_000);
    expect(dialled.length).toBeGreaterThanOrEqual(until + 4);
  });
});

describe('other servers', () => {
  it('take the place of those that are gone, and those that stay stay', async () => {
    const [one, two, three] = [await podsocks(), await podsocks(), await podsocks()];
    const { pool, lines } = poolOf([one.server, two.server], { mayChange: true });
    await areHealthy(pool);
    const stays = pool.links[1]!;
    pool.replace([{ ...two.server }, three.server]);
    expect(pool.links[0]).toBe(stays);
    expect(pool.active).toBe(stays);
    expect(lines.at(-1)).toMatch(/is not in the list any more$/);
    await areHealthy(pool);
    pool.replace([{ ...two.server, name: 'renamed' }]);
    expect(pool.links).toHaveLength(1);
    expect(pool.active).not.toBe(stays);
    const { link, connection } = await pool.reach();
    connection.close();
    expect(link).toBe(pool.active);
  });

  it('are left alone once they are gone', async () => {
    const silent = await startFakeServer(() => {});
    const there = await podsocks();
    const { pool } = poolOf([silent.server, there.server]);
    await expect.poll(silent.open).toBe(1);
    pool.replace([there.server]);
    await expect.poll(silent.open).toBe(0);
    expect(pool.links[0]!.health.state).not.toBe('unhealthy');
  });
});

describe('connections made ahead', () => {
  const ahead = { config: { ...CONFIG, preconnect: 2 } };

  it('are taken, and made again', async () => {
    const { server, open } = await podsocks();
    const { dialled, dialServer } = network();
    const { pool } = poolOf([server], { ...ahead, dialServer, askExtensions: false });
    const first = await pool.reach();
    await expect.poll(open).toBe(3);
    const second = await pool.reach();
    await expect.poll(open).toBe(4);
    expect(dialled).toHaveLength(4);
    for (const { connection } of [first, second]) {
      expect(connection.socket.destroyed).toBe(false);
      expect(connection.socket.isPaused()).toBe(true);
      connection.close();
    }
    pool.close();
    await expect.poll(open).toBe(0);
  });

  it('are not kept for long', async () => {
    const { server, open } = await podsocks();
    const { dialled, dialServer } = network();
    let offset = 0;
    const now = () => performance.now() + offset;
    const { pool } = poolOf([server], { ...ahead, dialServer, askExtensions: false, now });
    (await pool.reach()).connection.close();
    await expect.poll(open).toBe(2);
    offset += 20_000;
    const { connection } = await pool.reach();
    await expect.poll(open).toBe(3);
    expect(dialled).toHaveLength(6); // none of those from before
    connection.close();
  });

  it('are not taken once the server has closed them, and not made again at once', async () => {
    const { server, open, hangUp } = await podsocks();
    const { dialled, dialServer } = network();
    const { pool } = poolOf([server], { ...ahead, dialServer, askExtensions: false });
    (await pool.reach()).connection.close();
    await expect.poll(open).toBe(2);
    hangUp();
    await expect.poll(open).toBe(0);
    const { connection } = await pool.reach();
    expect(connection.socket.destroyed).toBe(false);
    expect(dialled).toHaveLength(4);
    connection.close();
  });

  it('go when another server is in use', async () => {
    const [one, two] = [await podsocks(), await podsocks()];
    const { lost, dialServer } = network();
    const { pool } = poolOf([one.server, two.server], { ...ahead, dialServer });
    await areHealthy(pool);
    (await pool.reach()).connection.close();
    await expect.poll(one.open).toBe(2);
    lost.set(one.server.port, 'refusing');
    await pool.links[0]!.probe();
    expect(pool.active).toBe(pool.links[1]);
    await expect.poll(one.open).toBe(0);
    (await pool.reach()).connection.close();
    await expect.poll(two.open).toBe(2);
  });
});
