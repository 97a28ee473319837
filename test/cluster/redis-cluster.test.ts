import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { type Cluster, NODE_PORT_SERVICE, SOCKS_PORT, startCluster } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { startInformedClient } from './laptop.ts';
import { type Host, hostIn } from './pod-network.ts';
import { REDIS_NODES, REDIS_PORT, REDIS_ZONES, startRedisCluster } from './redis-pods.ts';
import { startReplica } from './tunnelled-cluster.ts';

const SLOTS = 16_384;
const KEYS = 200;
const [FIRST, ...OTHERS] = REDIS_NODES as [string, ...string[]];
const MASTERS = REDIS_NODES.slice(0, 3);
/** Of another ss-local, which maps nothing. */
const UNMAPPED_PORT = 1081;
const WAIT = { timeout: 15_000 };

const PYTHON = fileURLToPath(new URL('programs/redis_slots.py', import.meta.url));

describeCluster(
  'with a Redis Cluster, whose nodes tell clients each other’s names',
  () => {
    const running = suiteResource(startAll);

    test('the laptop has a loopback address for each mapped name', async () => {
      const { mapped } = await running();
      const addresses = await Promise.all(REDIS_NODES.map(name => addressesOf(mapped, name)));
      expect(addresses).toEqual(REDIS_NODES.map((_, index) => `127.64.0.${index + 1}`));
    });

    test('redis-cli finds keys at all nodes, through the maps', async () => {
      const { cluster, mapped } = await running();
      await expectToFollow(cluster, mapped, ['-h', FIRST]);
    });

    test('redis-cli finds keys at all nodes, by ss-local run --force', async () => {
      const { cluster } = await running();
      const through = [...cluster.clientCommand, '-l', `${UNMAPPED_PORT}`, 'run', '--force', '--'];
      await expectToFollow(cluster, cluster.laptop, ['-h', FIRST], through);
    });

    test('Python through the maps and Python with SOCKS have the same keys, one in each slot', async () => {
      const { cluster, mapped } = await running();
      const python = async (host: Host, action: 'write' | 'read', word: string, ...socksPort: string[]) => {
        const program = [pathOf('python3 with redis and PySocks'), PYTHON] as const;
        const said = await host.run([...program, action, word, FIRST, `${REDIS_PORT}`, ...socksPort]);
        return JSON.parse(String(said));
      };
      const all = { right: SLOTS, slots: Object.fromEntries(MASTERS.map(name => [name, expect.any(Number)])) };
      const socksPort = `${UNMAPPED_PORT}`;
      expect(await python(mapped, 'write', 'mapped')).toEqual(all);
      expect(await python(cluster.laptop, 'read', 'mapped', socksPort)).toEqual(all);
      expect(await python(cluster.laptop, 'write', 'by SOCKS', socksPort)).toEqual(all);
      expect(await python(mapped, 'read', 'by SOCKS')).toEqual(all);
    });

    test('without maps the names lead to addresses of pods, and nowhere', async () => {
      const { unmapped } = await running();
      expect(await addressesOf(unmapped, FIRST)).toBe('10.244.3.10');
      await expect(redis(unmapped, '-c', '-h', FIRST, 'GET', 'key')).rejects.toThrow(
        `Could not connect to Redis at ${FIRST}:${REDIS_PORT}: Connection refused`,
      );
    });

    test('with a port for one node (-L) the way ends at the first redirection', async () => {
      const { unmapped } = await running();
      const answers = [];
      for (const tag of TAGS) {
        answers.push(await redis(unmapped, '-c', '-h', '127.0.0.1', 'SET', tag, 'x').catch((error: Error) => error.message));
      }
      expect(answers[0]).toBe('OK\n');
      for (const answer of answers.slice(1)) expect(answer).toMatch(/Could not connect to Redis at redis-[12]\./);
    });

    test('a node that is killed', async () => {
      const { cluster, mapped, redisCluster } = await running();
      for (const tag of TAGS) await redis(mapped, '-c', '-h', FIRST, 'SET', tag, 'before');
      const slot = Number(await redis(mapped, '-h', FIRST, 'CLUSTER', 'KEYSLOT', TAGS[1]!));
      const master = await redisCluster.masterOf(slot);
      console.log('kill', master.hostname, new Date().toISOString());
      master.signal('SIGKILL');
      const go = async (...args: string[]) => console.log(new Date().toISOString(), args.join(' '), await redis(mapped, ...args).catch((error: Error) => error.message));
      await go('-h', master.hostname, 'GET', TAGS[1]!);
      await go('-c', '-h', FIRST, 'GET', TAGS[1]!);
      await go('-c', '-h', FIRST, 'GET', TAGS[0]!);
      await go('-c', '-h', FIRST, 'GET', TAGS[2]!);
      const through = [...cluster.clientCommand, '-l', `${UNMAPPED_PORT}`, 'run', '--force', '--'] as const;
      console.log(await cluster.laptop.run([...through, 'redis-cli', '-h', master.hostname, 'GET', TAGS[1]!]).then(String, (e: Error) => e.message));
      for (const port of [1080, 1081]) console.log(String(await cluster.laptop.run([...cluster.clientCommand, '-l', `${port}`, 'status'])));
      await expect.poll(() => redis(mapped, '-c', '-h', FIRST, 'GET', TAGS[1]!).catch(String), WAIT).toBe('before\n');
      console.log('fine', new Date().toISOString());
      console.log(String(await cluster.laptop.run([...cluster.clientCommand, '-l', `1080`, 'status'])));
      console.log(cluster.logs());
    });
  },
  ['redis-server', 'redis-cli', 'proxychains4', 'python3 with redis and PySocks'],
);

/** Keys with a slot of each master in turn. */
const TAGS = ['b', 'a', 'c'];

/** Two ss-locals, of which one has maps, and who asks the DNS of which. */
async function startAll() {
  const cluster = await startCluster(REDIS_ZONES);
  try {
    const [server, redisCluster] = await Promise.all([startReplica(cluster, 0), startRedisCluster(cluster)]);
    cluster.proxy.setEndpoints(NODE_PORT_SERVICE, [server.addresses[0]!]);
    const maps = REDIS_NODES.flatMap(name => ['--map', `${name}:${REDIS_PORT}`]);
    await startInformedClient(cluster, { flags: ['--dns', '127.0.0.1:53', ...maps] });
    const forward = ['-L', `${REDIS_PORT}:${FIRST}:${REDIS_PORT}`];
    await startInformedClient(cluster, { port: UNMAPPED_PORT, flags: ['--dns', '127.0.0.2:53', ...forward] });
    const [mapped, unmapped] = await Promise.all(['127.0.0.1', '127.0.0.2'].map(server => asking(cluster, server)));
    return { cluster, redisCluster, mapped: mapped!, unmapped: unmapped!, close: cluster.close };
  } catch (error) {
    (error as Error).message += cluster.logs();
    await cluster.close();
    throw error;
  }
}

/** The laptop with this DNS server. */
async function asking({ laptop, path }: Cluster, server: string): Promise<Host> {
  const source = path(`resolv.conf of ${server}`);
  await writeFile(source, `nameserver ${server}\noptions timeout:5 attempts:1\n`);
  return hostIn(laptop.namespace, [...laptop.mounts, { source, target: '/etc/resolv.conf' }]);
}

async function addressesOf(host: Host, name: string): Promise<string> {
  return String(await host.run(['getent', 'hosts', name])).split(/\s+/, 1)[0]!;
}

async function redis(host: Host, ...args: string[]): Promise<string> {
  return String(await host.run([pathOf('redis-cli'), '-p', `${REDIS_PORT}`, ...args]));
}

/** Has redis-cli write and read keys wherever they belong. */
async function expectToFollow(cluster: Cluster, host: Host, at: string[], through: readonly string[] = []) {
  const commands = cluster.path('commands');
  const keys = Array.from({ length: KEYS }, (_, number) => `key ${number}`);
  const lines = keys.flatMap(key => [`SET "${key}" "value of ${key}"`, `GET "${key}"`]);
  await writeFile(commands, lines.join('\n'));
  const cli = [...through, pathOf('redis-cli'), '-c', '--no-raw', '-p', `${REDIS_PORT}`, ...at];
  const said = String(await host.run(['sh', '-c', 'exec "$@" <"$0"', commands, ...cli])).split('\n');
  const redirections = said.filter(line => line.startsWith('-> Redirected'));
  const visited = redirections.map(line => / located at (.*):6379$/.exec(line)?.[1]);
  expect([...new Set(visited)].sort()).toEqual(MASTERS);
  const answers = said.filter(line => !line.startsWith('-> Redirected') && line !== '');
  expect(answers).toEqual(keys.flatMap(key => ['OK', `"value of ${key}"`]));
}
