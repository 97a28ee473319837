import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientStatus } from '@podsocks/client/status/client-status';
import { listensWithin } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import type { Leaf } from './routed-network.ts';
import {
  type Command,
  programPath,
  type ServerNode,
  type ServerNodes,
  type SignalledRun,
  TARGET_PORT,
} from './server-nodes.ts';
import { type SteadyLoad, startSteadyLoad } from './steady-load.ts';

const SOCKS_PORT = 1080;
const PROXY = `127.0.0.1:${SOCKS_PORT}`;
const DATAGRAM_PORT = 5300;

/** One of many requests; times in milliseconds, those of Date.now(). */
export interface TimedRequest {
  readonly begunAt: number;
  readonly took: number;
  /** The node that has asked the target. */
  readonly by?: string;
  readonly error?: string;
}

/** From then on new connections go to another server. */
export interface LoggedSwitch {
  /** As Date.now() has it. */
  readonly at: number;
  readonly to: string;
}

/** A laptop with an ss-local that knows several nodes. What is called `by` is the node that has asked the target. */
export interface SeveralServersLaptop extends Pick<Leaf, 'readdress'> {
  /** To ss-local. */
  signal: SignalledRun['signal'];
  /** One request. @returns by whom. @throws Error when it fails, or takes more than 5 s. */
  ask(): Promise<string>;
  startRequests(): SteadyLoad<TimedRequest>;
  /** Of one association. The results are those that came back. */
  startDatagrams(): Promise<SteadyLoad<{ readonly by: string }>>;
  /** The health of each server that it knows. */
  health(): Promise<string[]>;
  /** The name of the one in use. */
  active(): Promise<string | undefined>;
  /** What `ss-local status -o wide` prints. */
  table(): Promise<string>;
  /** All that ss-local has logged. */
  log(): string;
  /** Those that it has logged. */
  switches(): LoggedSwitch[];
}

/**
 * Lets a test use a laptop whose ss-local knows some nodes. If it fails, its error tells what ss-local has logged, and how it
 * says that its servers are.
 */
export async function withLaptop(
  nodes: ServerNodes,
  known: readonly ServerNode[],
  flags: readonly string[],
  use: (laptop: SeveralServersLaptop) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'podsocks-laptop-'));
  const logPath = join(directory, 'log');
  const leaf = nodes.addLaptop();
  const client = commandOf('podsocks', 'client');
  const urls = known.map(({ url }) => url);
  // A test needs all of the log, not its end.
  const logged: Command = ['sh', '-c', 'exec "$@" >"$0" 2>&1', logPath, ...client, ...urls, '--route', 'all', ...flags];
  const log = () => readFileSync(logPath, 'utf8');
  const table = async () => String(await leaf.run([...client, 'status', '-o', 'wide']));
  const servers = async () => {
    const status = await leaf.run(curl('--noproxy', '*', `http://${PROXY}/v1/status`));
    return (JSON.parse(String(status)) as ClientStatus).servers;
  };
  const nameOf = (address: string) => known.find(node => node.address === address)?.name ?? address;
  try {
    const local = await nodes.start(leaf, 'ss-local', logged, listensWithin(SOCKS_PORT));
    await use({
      readdress: leaf.readdress,
      signal: local.signal,
      async ask() {
        const limit = ['--max-time', '5'];
        const url = `http://${nodes.target}:${TARGET_PORT}/`;
        return nameOf(String(await leaf.run(curl('--proxy', `socks5h://${PROXY}`, ...limit, url))));
      },
      startRequests() {
        const to = [SOCKS_PORT, nodes.target, TARGET_PORT];
        return startSteadyLoad(leaf, 'steady-requests.mjs', to, printed => {
          const { answer, ...request } = printed as Omit<TimedRequest, 'by'> & { answer?: string };
          return answer === undefined ? request : { ...request, by: nameOf(answer) };
        });
      },
      async startDatagrams() {
        const to = [`${DATAGRAM_PORT}`, `socks5://${PROXY}`, nodes.target, `${TARGET_PORT}`];
        const front: Command = [process.execPath, programPath('datagram-forward.mjs'), ...to];
        await nodes.start(leaf, 'datagrams', front, listensWithin(DATAGRAM_PORT, ['udp']));
        return startSteadyLoad(leaf, 'steady-datagrams.mjs', [DATAGRAM_PORT], printed => {
          return { by: nameOf((printed as { answer: string }).answer) };
        });
      },
      health: async () => (await servers()).map(({ health }) => health),
      active: async () => (await servers()).find(({ active }) => active)?.name,
      table,
      log,
      switches: () => switchesIn(log()),
    });
  } catch (error) {
    const shown = await table().catch(String);
    (error as Error).message += `\n--- ss-local has logged:\n${log()}\n--- and says:\n${shown}`;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function switchesIn(log: string): LoggedSwitch[] {
  const lines = log.split('\n').filter(line => line.startsWith('{'));
  return lines.flatMap(line => {
    const { time, msg } = JSON.parse(line) as { time: string; msg: string };
    const [, to] = /^new connections go to (\S+) /.exec(msg) ?? [];
    return to === undefined ? [] : [{ at: Date.parse(time), to }];
  });
}

function curl(...args: readonly string[]): [string, ...string[]] {
  return [pathOf('curl'), '-q', '--silent', '--show-error', '--fail', ...args];
}
