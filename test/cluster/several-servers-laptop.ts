import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ClientStatus } from '@podsocks/client/status/client-status';
import { listensWithin } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { withMounts } from './mounts.ts';
import type { Leaf } from './routed-network.ts';
import {
  type Command,
  programPath,
  type ServerNode,
  type ServerNodes,
  type SignalledRun,
  TARGET_PORT,
} from './server-nodes.ts';

const SOCKS_PORT = 1080;
const DATAGRAM_PORT = 5300;

/** One of many requests; times in milliseconds, those of Date.now(). */
export interface TimedRequest {
  readonly begunAt: number;
  readonly took: number;
  /** The node that asked the target. */
  readonly by?: string;
  readonly error?: string;
}

/** An answer to one of many datagrams. */
export interface TimedAnswer {
  readonly at: number;
  readonly by: string;
}

/** Something that is done again and again. @returns what came of it, when all that has begun has ended. */
export type Finish<T> = () => Promise<readonly T[]>;

/** A laptop with an ss-local that knows several nodes. */
export interface SeveralServersLaptop extends Pick<Leaf, 'readdress'> {
  /** To ss-local. */
  signal: SignalledRun['signal'];
  /** One request. @returns the node that asked the target. @throws Error when it fails, or takes more than 5 s. */
  ask(): Promise<string>;
  startRequests(): Finish<TimedRequest>;
  /** Of one association. */
  startDatagrams(): Promise<Finish<TimedAnswer>>;
  status(): Promise<ClientStatus>;
  /** What `ss-local status -o wide` prints. */
  table(): Promise<string>;
  /** All that ss-local has logged. */
  log(): string;
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
  const leaf = nodes.addLaptop(`laptop-of-${known[0]!.name}`);
  const client = commandOf('podsocks', 'client');
  const urls = known.map(({ url }) => url);
  // A test needs all of the log, not its end.
  const logged: Command = ['sh', '-c', 'exec "$@" >"$0" 2>&1', logPath, ...client, ...urls, '--route', 'all', ...flags];
  const log = () => readFileSync(logPath, 'utf8');
  const table = async () => String(await leaf.run([...client, 'status', '-o', 'wide']));
  const status = async (): Promise<ClientStatus> =>
    JSON.parse(String(await leaf.run(curl('--noproxy', '*', `http://127.0.0.1:${SOCKS_PORT}/v1/status`))));
  const nameOf = (address: string) => known.find(node => node.address === address)?.name ?? address;
  const named = ({ answer, ...rest }: Answered) => ({ ...rest, ...(answer && { by: nameOf(answer.split(' ')[0]!) }) });
  try {
    const local = await nodes.start(leaf, 'ss-local', logged, listensWithin(SOCKS_PORT));
    await use({
      readdress: leaf.readdress,
      signal: local.signal,
      async ask() {
        const socks = ['--proxy', `socks5h://127.0.0.1:${SOCKS_PORT}`, '--max-time', '5'];
        return nameOf(String(await leaf.run(curl(...socks, `http://${nodes.target}:${TARGET_PORT}/`))));
      },
      startRequests() {
        const finish = startLoad(leaf, 'steady-requests.mjs', [SOCKS_PORT, nodes.target, TARGET_PORT]);
        return async () => (await finish()).map(answered => named(answered) as unknown as TimedRequest);
      },
      async startDatagrams() {
        const to = [DATAGRAM_PORT, SOCKS_PORT, nodes.target, TARGET_PORT].map(String);
        const forward: Command = [process.execPath, programPath('datagram-forward.mjs'), ...to];
        await nodes.start(leaf, 'datagrams', forward, listensWithin(DATAGRAM_PORT, ['udp']));
        const finish = startLoad(leaf, 'steady-datagrams.mjs', [DATAGRAM_PORT]);
        return async () => (await finish()).map(answered => named(answered) as unknown as TimedAnswer);
      },
      status,
      table,
      log,
    });
  } catch (error) {
    const shown = await table().catch(String);
    (error as Error).message += `\n--- ss-local has logged:\n${log()}\n--- and says:\n${shown}`;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Answered {
  readonly answer?: string;
}

/** Starts a program that prints what it has done when it is told to end. */
function startLoad(leaf: Leaf, program: string, args: readonly (string | number)[]): Finish<Answered> {
  const inner = withMounts([], [process.execPath, programPath(program), ...args.map(String)]);
  const [command, ...rest] = leaf.namespace.within(inner);
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const printed = text(child.stdout);
  return async () => {
    child.kill('SIGTERM');
    await ended;
    return JSON.parse(await printed);
  };
}

function curl(...args: readonly string[]): [string, ...string[]] {
  return [pathOf('curl'), '-q', '--silent', '--show-error', '--fail', ...args];
}
