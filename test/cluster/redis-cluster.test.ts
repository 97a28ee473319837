import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { type Cluster, type Command, NODE_PORT_SERVICE, startCluster } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { startInformedClient } from './laptop.ts';
import { type Host, hostIn } from './pod-network.ts';
import {
  KEYS_OF_MASTERS,
  REDIS_ALIAS,
  REDIS_MASTERS,
  REDIS_NODES,
  REDIS_PORT,
  REDIS_ZONES,
  startRedisCluster,
} from './redis-pods.ts';
import { startReplica } from './tunnelled-cluster.ts';

const SLOTS = 16_384;
/** For redis-cli, which connects anew for each that is at another node. */
const KEYS = 100;
const WAIT = { timeout: 20_000 };
const FIRST = REDIS_NODES[0]!;

/** Of a second ss-local, which maps nothing. */
const UNMAPPED_PORT = 1081;
const SS_LOCAL = commandOf('podsocks', 'client');
const FORCED = [...SS_LOCAL, '-l', `${UNMAPPED_PORT}`, 'run', '--force', '--'] as const;

const PYTHON = fileURLToPath(new URL('programs/redis_slots.py', import.meta.url));

describeCluster('a Redis Cluster from the laptop, whose nodes hand out their names', () => {
  const running = suiteResource(startAll);

  test('each mapped name has a loopback address of its own', async () => {
    const { mapped } = await running();
    const addresses = await Promise.all(REDIS_NODES.map(name => addressOf(mapped, name)));
    expect(addresses).toEqual(REDIS_NODES.map((_, index) => `127.64.0.${index + 1}`));
  });

  test('a mapped name leads through the tunnel, though it is in no zone of the cluster', async () => {
    const { mapped } = await running();
    expect(await redis(mapped, '-h', REDIS_ALIAS, 'CONFIG', 'GET', 'cluster-announce-hostname')).toContain(FIRST);
  });

  test('redis-cli follows redirections to all masters, by --map', async () => {
    const { cluster, mapped } = await running();
    await expectToFollow(cluster, mapped);
  });

  test('redis-cli follows redirections to all masters, by ss-local run --force', async () => {
    const { cluster } = await running();
    await expectToFollow(cluster, cluster.laptop, FORCED);
  });

  test('by --map and by SOCKS a Python client reads what the other has written, a key of each slot', async () => {
    const { cluster, mapped } = await running();
    const python = async (host: Host, action: 'write' | 'read', word: string, ...socksPort: readonly string[]) => {
      const program = [pathOf('python3 with redis and PySocks'), PYTHON, action, word] as const;
      return JSON.parse(String(await host.run([...program, FIRST, `${REDIS_PORT}`, ...socksPort])));
    };
    const all = { right: SLOTS, slots: Object.fromEntries(REDIS_MASTERS.map(name => [name, expect.any(Number)])) };
    const socksPort = `${UNMAPPED_PORT}`;
    expect(await python(mapped, 'write', 'mapped')).toEqual(all);
    expect(await python(cluster.laptop, 'read', 'mapped', socksPort)).toEqual(all);
    expect(await python(cluster.laptop, 'write', 'by SOCKS', socksPort)).toEqual(all);
    expect(await python(mapped, 'read', 'by SOCKS')).toEqual(all);
  });

  test('without maps the names lead to addresses of pods, which the laptop does not reach', async () => {
    const { unmapped } = await running();
    expect(await addressOf(unmapped, FIRST)).toBe('10.244.3.10');
    const refused = `Could not connect to Redis at ${FIRST}:${REDIS_PORT}: Connection refused`;
    await expect(redis(unmapped, '-c', '-h', FIRST, 'GET', 'a')).rejects.toThrow(refused);
  });

  test('with a port for one node (-L) the way ends at the first redirection', async () => {
    const { unmapped } = await running();
    const [own, ...others] = KEYS_OF_MASTERS;
    expect(await redis(unmapped, '-c', '-h', '127.0.0.1', 'SET', own, 'x')).toBe('OK\n');
    for (const [index, key] of others.entries()) {
      const refused = `Could not connect to Redis at ${REDIS_MASTERS[index + 1]}:${REDIS_PORT}`;
      await expect(redis(unmapped, '-c', '-h', '127.0.0.1', 'SET', key, 'x')).rejects.toThrow(refused);
    }
  });

  test('a master that is killed is missed by its own keys only, ss-local says why, and its replica is found', async () => {
    const { cluster, mapped, nodes } = await running();
    const get = (key: string) => redis(mapped, '-c', '-h', FIRST, 'GET', key);
    for (const key of KEYS_OF_MASTERS) expect(await redis(mapped, '-c', '-h', FIRST, 'SET', key, key)).toBe('OK\n');
    const [killed] = nodes.filter(({ hostname }) => hostname === REDIS_MASTERS[2]);
    const [first, second, its] = KEYS_OF_MASTERS;
    killed!.signal('SIGKILL');
    await expect(redis(mapped, '-h', killed!.hostname, 'GET', its)).rejects.toThrow('Connection reset by peer');
    await expect(cluster.laptop.run([...FORCED, 'redis-cli', '-h', killed!.hostname, 'GET', its])).rejects.toThrow(
      `Could not connect to Redis at ${killed!.hostname}:${REDIS_PORT}: Connection refused`,
    );
    for (const key of [first, second]) expect(await get(key)).toBe(`${key}\n`);
    const status = String(await cluster.laptop.run([...SS_LOCAL, 'status']));
    expect(status).toMatch(new RegExp(`ago +${killed!.hostname}:${REDIS_PORT} +connection refused`));
    await expect.poll(() => get(its).catch(String), WAIT).toBe(`${its}\n`);
    expect(await redis(mapped, '-c', '-h', FIRST, 'SET', its, 'new')).toBe('OK\n');
  });
}, ['redis-server', 'redis-cli', 'proxychains4', 'python3 with redis and PySocks']);

/** Two ss-locals, of which one has maps, and the laptop as one that asks the DNS of either. */
async function startAll() {
  const cluster = await startCluster(REDIS_ZONES);
  try {
    const [server, nodes] = await Promise.all([startReplica(cluster, 0), startRedisCluster(cluster)]);
    cluster.proxy.setEndpoints(NODE_PORT_SERVICE, [server.addresses[0]!]);
    const maps = [...REDIS_NODES, REDIS_ALIAS].flatMap(name => ['--map', `${name}:${REDIS_PORT}`]);
    const oneNode = ['-L', `${REDIS_PORT}:${FIRST}:${REDIS_PORT}`];
    const mapped = await laptopAsking(cluster, '127.0.0.1');
    const unmapped = await laptopAsking(cluster, '127.0.0.2');
    await Promise.all([
      startInformedClient(cluster, { flags: ['--dns', '127.0.0.1:53', ...maps], on: mapped }),
      startInformedClient(cluster, { port: UNMAPPED_PORT, flags: ['--dns', '127.0.0.2:53', ...oneNode] }),
    ]);
    return { cluster, nodes, mapped, unmapped, close: cluster.close };
  } catch (error) {
    (error as Error).message += cluster.logs();
    await cluster.close();
    throw error;
  }
}

async function laptopAsking({ laptop, path }: Cluster, nameServer: string): Promise<Host> {
  const source = path(`resolv.conf-${nameServer}`);
  await writeFile(source, `nameserver ${nameServer}\n`);
  return hostIn(laptop.namespace, [...laptop.mounts, { source, target: '/etc/resolv.conf' }]);
}

async function addressOf(host: Host, name: string): Promise<string> {
  return String(await host.run(['getent', 'hosts', name])).split(' ', 1)[0]!;
}

async function redis(host: Host, ...args: readonly string[]): Promise<string> {
  return String(await host.run([pathOf('redis-cli'), '-p', `${REDIS_PORT}`, ...args]));
}

/** Has redis-cli write and read keys wherever they belong, within this command. */
async function expectToFollow(cluster: Cluster, host: Host, within: Command | readonly [] = []): Promise<void> {
  const commands = cluster.path('commands');
  const keys = Array.from({ length: KEYS }, (_, number) => `key ${number}`);
  await writeFile(commands, keys.map(key => `SET "${key}" "value of ${key}"\nGET "${key}"\n`).join(''));
  const cli = [...within, pathOf('redis-cli'), '-c', '--no-raw', '-h', FIRST, '-p', `${REDIS_PORT}`];
  const said = String(await host.run(['sh', '-c', 'exec "$@" <"$0"', commands, ...cli])).split('\n');
  const redirections = said.flatMap(line => /^-> Redirected to slot .* located at (.*)$/.exec(line)?.[1] ?? []);
  expect([...new Set(redirections)].sort()).toEqual(REDIS_MASTERS.map(name => `${name}:${REDIS_PORT}`));
  const answers = said.filter(line => line !== '' && !line.startsWith('-> '));
  expect(answers).toEqual(keys.flatMap(key => ['OK', `"value of ${key}"`]));
}
