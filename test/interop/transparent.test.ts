import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { expect, test } from 'vitest';
import { findOnPath } from '../../bench/src/executables.ts';
import { createNamespace, listensWithin, type Namespace, namespaceObstacle } from '../support/network-namespaces.ts';
import type { ProgramRun } from '../support/program-run.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { commandOf, passwordFor } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { tunnelThrough } from '../support/tunnel.ts';
import { buildFetch, goObstacle } from './go-program.ts';

/*
 *  laptop                                                                  cluster
 *  static program ─▶ 10.96.0.80 ─▶ redsocks or tun2socks ─▶ ss-local ═ veth ═ ss-server ─▶ web server on 10.96.0.80
 *
 * Both are network namespaces. What is for the cluster's networks has no other way: the default route of the laptop leads
 * nowhere. This is what docs/transparent.md says, in its words.
 */
const LAPTOP = '10.213.0.2';
const GATEWAY = '10.213.0.1';
const SERVER_PORT = 8388;
const SOCKS_PORT = 1080;
const WEB = '10.96.0.80';
const NETWORKS = ['10.96.0.0/12', '10.244.0.0/16'] as const;
const REDSOCKS_PORT = 12345;

const REDSOCKS = `
base {
  log_debug = off;
  log_info = on;
  log = stderr;
  daemon = off;
  redirector = iptables;
}
redsocks {
  local_ip = 127.0.0.1;
  local_port = ${REDSOCKS_PORT};
  ip = 127.0.0.1;
  port = ${SOCKS_PORT};
  type = socks5;
}
`;

const NFT = `
table ip podsocks {
  chain output {
    type nat hook output priority -100;
    ip daddr { ${NETWORKS.join(', ')} } meta l4proto tcp redirect to :${REDSOCKS_PORT}
  }
}
`;

/** How an engine is set up on the laptop; `folder` is for its files. */
type Engine = (laptop: Namespace, folder: string) => Promise<ProgramRun>;

const execute = (laptop: Namespace, command: readonly [string, ...string[]]) => {
  const [program, ...args] = laptop.within(command);
  return runCommand(program, args);
};

async function startRedsocks(laptop: Namespace, folder: string): Promise<ProgramRun> {
  const file = join(folder, 'redsocks.conf');
  await writeFile(file, REDSOCKS);
  return laptop.start('redsocks', [findOnPath('redsocks') ?? 'redsocks', '-c', file], REDSOCKS_PORT);
}

const ENGINES: readonly { title: string; engine: Engine; obstacle: () => string | undefined }[] = [
  {
    title: 'redsocks and nftables',
    obstacle: () => missing('redsocks', 'nft'),
    engine: async (laptop, folder) => {
      const rules = join(folder, 'podsocks.nft');
      await writeFile(rules, NFT);
      await execute(laptop, [pathOf('nft'), '-f', rules]);
      return startRedsocks(laptop, folder);
    },
  },
  {
    title: 'redsocks and iptables',
    obstacle: () => missing('redsocks', 'iptables'),
    engine: async (laptop, folder) => {
      for (const network of NETWORKS) {
        const rule = ['-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '-d', network, '-j', 'REDIRECT'];
        await execute(laptop, ['iptables', ...rule, '--to-ports', `${REDSOCKS_PORT}`]);
      }
      return startRedsocks(laptop, folder);
    },
  },
  {
    title: 'tun2socks',
    obstacle: () => undefined,
    engine: async laptop => {
      laptop.ip('tuntap', 'add', 'mode', 'tun', 'name', 'tun0');
      laptop.ip('address', 'add', '198.18.0.1/15', 'dev', 'tun0');
      laptop.ip('link', 'set', 'tun0', 'up');
      for (const network of NETWORKS) laptop.ip('route', 'add', network, 'dev', 'tun0');
      const command = ['--device', 'tun://tun0', '--proxy', `socks5://127.0.0.1:${SOCKS_PORT}`] as const;
      const [program, ...args] = laptop.within([pathOf('ip'), 'link', 'show', 'tun0']);
      // Somebody has opened it.
      const isUp = async () => String(await runCommand(program, args)).includes('LOWER_UP');
      return laptop.start('tun2socks', [pathOf('tun2socks'), ...command], isUp);
    },
  },
];

function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter(name => findOnPath(name) === undefined);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

const WEB_SERVER = `
require('node:http').createServer((request, response) => {
  response.end('hello ' + request.socket.remoteAddress + request.url);
}).listen(80, '${WEB}')`;

const fetch = suiteResource(() => buildFetch());

ENGINES.forEach(({ title, engine, obstacle }, index) => {
  const suite = () => {
    const network = suiteResource(async () => {
      const cluster = createNamespace(`transparent-${index}-cluster`);
      const laptop = createNamespace(`transparent-${index}-laptop`);
      const folder = await mkdtemp(join(tmpdir(), 'podsocks-transparent-'));
      const runs: ProgramRun[] = [];
      const close = async () => {
        await Promise.all(runs.map(run => run.stop()));
        laptop.remove();
        cluster.remove();
        await rm(folder, { recursive: true, force: true });
      };
      try {
        connect(laptop, cluster);
        const key = ['-k', passwordFor(DEFAULT_METHOD)];
        const where = ['-s', GATEWAY, '-p', `${SERVER_PORT}`];
        const server = [...commandOf('podsocks', 'server'), ...where, ...key, '--allow', '10.96.0.0/12'] as const;
        const client = [...commandOf('podsocks', 'client'), ...where, ...key, '-l', `${SOCKS_PORT}`] as const;
        const web = [process.execPath, '-e', WEB_SERVER] as const;
        runs.push(await cluster.start('web server', [...web], listensWithin(80)));
        runs.push(await cluster.start('ss-server', [...server] as [string, ...string[]], SERVER_PORT));
        runs.push(await laptop.start('ss-local', [...client] as [string, ...string[]], SOCKS_PORT));
        runs.push(await engine(laptop, folder));
      } catch (error) {
        await close();
        throw error;
      }
      return { cluster, laptop, runs, close };
    });

    test('reaches an address of the cluster, of which it knows no proxy', async () => {
      const { laptop, runs } = await network();
      const { path } = await fetch();
      const { use } = tunnelThrough(SOCKS_PORT, runs);
      await use(async () => {
        // The web server sees the other end of the tunnel, in the cluster.
        const body = await execute(laptop, [path, '-raw', `http://${WEB}/static`]);
        expect(String(body)).toBe(`hello ${WEB}/static`);
      });
    });

    test('reaches everything else as before', async () => {
      const { cluster, laptop, runs } = await network();
      const { path } = await fetch();
      const { use } = tunnelThrough(SOCKS_PORT, runs);
      await use(async () => {
        const listen = `require('node:http').createServer((q, r) => r.end(q.socket.remoteAddress)).listen(8080, '${GATEWAY}')`;
        runs.push(await cluster.start('neighbour', [process.execPath, '-e', listen], 8080));
        // It sees the laptop, and not the tunnel's end.
        expect(String(await execute(laptop, [path, '-raw', `http://${GATEWAY}:8080/`]))).toBe(LAPTOP);
      });
    });
  };
  const why = () => obstacle() ?? goObstacle() ?? namespaceObstacle();
  const programs = title === 'tun2socks' ? (['ip', 'tun2socks'] as const) : (['ip'] as const);
  describeWith(programs, `a static Go program, through ${title}`, suite, why);
});

function connect(laptop: Namespace, cluster: Namespace): void {
  laptop.ip('link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', cluster.name);
  for (const { ip } of [laptop, cluster]) {
    ip('link', 'set', 'lo', 'up');
    ip('link', 'set', 'veth0', 'up');
  }
  cluster.ip('address', 'add', `${GATEWAY}/30`, 'dev', 'veth0');
  cluster.ip('address', 'add', `${WEB}/32`, 'dev', 'lo');
  laptop.ip('address', 'add', `${LAPTOP}/30`, 'dev', 'veth0');
  laptop.ip('link', 'add', 'nowhere', 'type', 'veth', 'peer', 'name', 'nobody');
  laptop.ip('link', 'set', 'nowhere', 'up');
  laptop.ip('route', 'add', 'default', 'dev', 'nowhere');
}
