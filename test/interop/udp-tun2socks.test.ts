import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { expect, test } from 'vitest';
import { createNamespace, type Namespace, namespaceObstacle } from '../support/network-namespaces.ts';
import type { ProgramRun } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { commandOf, PROGRAMS_OF, passwordFor } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { nameServerCommand, RECORDS } from '../support/targets/name-server.ts';
import { tunnelThrough } from '../support/tunnel.ts';

/*
 *  laptop                                   cluster
 *  dig ─▶ tun0 ─▶ tun2socks ─▶ .2 ═ veth ═ .1:1080 ss-local ─▶ ss-server ─▶ dnsmasq on 10.96.0.10:53
 *
 * Both are network namespaces, so that nothing of this machine's own network is touched, addresses and ports are free, and
 * no way leads from the laptop to 10.96.0.10 but through the tunnel.
 */
const GATEWAY = '10.213.0.1';
const SOCKS_PORT = 1080;
const SERVER_PORT = 8388;
const NAME_SERVER = '10.96.0.10';
const PARALLEL = 20;

// If the first fails, the harness or the machine is at fault and not podsocks.
for (const { impl, method, udp, flags } of [
  { impl: 'libev', method: 'aes-256-gcm', udp: 'plain', flags: ['-u'] },
  { impl: 'podsocks', method: DEFAULT_METHOD, udp: 'plain', flags: ['-u'] },
  { impl: 'podsocks', method: DEFAULT_METHOD, udp: 'over-tcp-2', flags: ['-u', '--udp-over-tcp'] },
] as const) {
  const programs = [...PROGRAMS_OF[impl], 'tun2socks', 'dig', 'dnsmasq', 'ip'] as const;
  const suite = () => {
    const network = suiteResource(async () => {
      const cluster = createNamespace(`${impl}-${udp}-cluster`);
      const laptop = createNamespace(`${impl}-${udp}-laptop`);
      const runs: ProgramRun[] = [];
      const close = async () => {
        await Promise.all(runs.map(run => run.stop()));
        laptop.remove();
        cluster.remove();
      };
      try {
        connect(laptop, cluster);
        const both = ['-s', '127.0.0.1', '-p', `${SERVER_PORT}`, '-k', passwordFor(method), '-m', method];
        const server = [...both, ...(udp === 'plain' ? ['-u'] : [])];
        const client = [...both, '-b', GATEWAY, '-l', `${SOCKS_PORT}`, ...flags];
        runs.push(await cluster.start('dnsmasq', nameServerCommand(NAME_SERVER, 53), 53));
        runs.push(await cluster.start(`${impl} server`, [...commandOf(impl, 'server'), ...server], SERVER_PORT));
        runs.push(await cluster.start(`${impl} client`, [...commandOf(impl, 'client'), ...client], SOCKS_PORT));
        runs.push(await startTun2socks(laptop));
      } catch (error) {
        await close();
        throw error;
      }
      return { laptop, runs, close };
    });

    async function expectAnswer({ name, type, answer }: (typeof RECORDS)[number], ...options: string[]): Promise<void> {
      const { laptop, runs } = await network();
      const { use } = tunnelThrough(SOCKS_PORT, runs);
      await use(async () => {
        const question = ['+short', '+ignore', '+time=2', '+tries=5', ...options, `@${NAME_SERVER}`, name, type];
        const [command, ...args] = laptop.within([pathOf('dig'), ...question]);
        // Where the machine is slow dig asks again, and warns of the answer to what it had asked first.
        const said = String(await runCommand(command, args)).replace(/^;; Warning: ID mismatch.*\n/gm, '');
        expect(said).toBe(`${answer}\n`);
      });
    }

    for (const record of RECORDS) test(`${record.type} record`, () => expectAnswer(record));
    test(`${PARALLEL} questions at once`, async () => {
      await Promise.all(
        Array.from({ length: PARALLEL }, (_, number) => expectAnswer(RECORDS[number % RECORDS.length]!)),
      );
    });
    test('a question over TCP', () => expectAnswer(RECORDS[0], '+tcp'));
  };
  describeWith(programs, `dig, behind tun2socks, through ${impl}, UDP ${udp}`, suite, namespaceObstacle);
}

function connect(laptop: Namespace, cluster: Namespace): void {
  laptop.ip('link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', cluster.name);
  for (const { ip } of [laptop, cluster]) {
    ip('link', 'set', 'lo', 'up');
    ip('link', 'set', 'veth0', 'up');
  }
  cluster.ip('address', 'add', `${GATEWAY}/30`, 'dev', 'veth0');
  cluster.ip('address', 'add', `${NAME_SERVER}/32`, 'dev', 'lo');
  laptop.ip('address', 'add', '10.213.0.2/30', 'dev', 'veth0');
  laptop.ip('tuntap', 'add', 'mode', 'tun', 'name', 'tun0');
  laptop.ip('address', 'add', '198.18.0.1/15', 'dev', 'tun0');
  laptop.ip('link', 'set', 'tun0', 'up');
  laptop.ip('route', 'add', 'default', 'dev', 'tun0');
}

function startTun2socks(laptop: Namespace): Promise<ProgramRun> {
  const [command, ...args] = laptop.within([pathOf('ip'), 'link', 'show', 'tun0']);
  const proxy = `socks5://${GATEWAY}:${SOCKS_PORT}`;
  return laptop.start(
    'tun2socks',
    [pathOf('tun2socks'), '--device', 'tun://tun0', '--proxy', proxy, '--loglevel', 'debug'],
    // Somebody has opened it.
    async () => String(await runCommand(command, args)).includes('LOWER_UP'),
  );
}
