import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Measurable } from '../metrics/worker-metrics.ts';
import type { Receiver } from './hand-out.ts';
import type { ToPrimary, ToWorker } from './messages.ts';

/** The build, also where tests import the sources: Node 20 cannot run those. */
const PROGRAM = new URL('../../dist/workers/worker.js', import.meta.url);

/** How a worker has ended. */
export interface WorkerEnd {
  readonly code?: number | null;
  readonly signal?: NodeJS.Signals | null;
  /** Why it could not start. */
  readonly err?: Error;
}

type Told = Exclude<ToPrimary, { type: 'ready' | 'failed' }>;

/** A worker, as the primary sees it. */
export class WorkerProcess implements Receiver, Measurable {
  readonly number: number;
  /** When it is ready, where it listens. Rejects when it cannot start; with a PodsocksError if it says why. */
  readonly ready: Promise<readonly Endpoint[]>;
  /** When it is gone, and all that it said has been heard. */
  readonly ended: Promise<WorkerEnd>;
  readonly #child: ChildProcess | undefined;

  /** @param told is given what it says beyond that it is ready or cannot start. */
  constructor(number: number, told: (message: Told) => void) {
    this.number = number;
    let child: ChildProcess;
    try {
      child = fork(PROGRAM, {
        execArgv: inheritable(process.execArgv),
        serialization: 'advanced',
        // Not inherited: libuv makes what a child inherits blocking, for all who have it, and then whoever reads our output
        // slowly would stop the primary.
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
    } catch (err) {
      // Short of memory, for one; later it may go better.
      this.ended = Promise.resolve({ err: err as Error });
      this.ready = Promise.reject(err);
      this.ready.catch(() => {});
      return;
    }
    this.#child = child;
    child.stderr?.on('data', chunk => process.stderr.write(chunk)); // what Node says of a crash
    let failure: Error | undefined;
    this.ended = new Promise(resolve => {
      child.once('close', (code, signal) => resolve({ code, signal, ...(failure && { err: failure }) }));
      child.on('error', err => {
        if (child.pid === undefined) resolve({ err }); // there was no process at all
      });
    });
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message: ToPrimary) => {
        if (message.type === 'ready') resolve(message.addresses);
        else if (message.type === 'failed') {
          failure = startError(message);
          reject(failure);
        } else told(message);
      });
      void this.ended.then(({ code, signal, err }) =>
        reject(err ?? new Error(`worker ${number} ended before it was ready (${signal ?? `exit code ${code}`})`)),
      );
    });
    this.ready.catch(() => {}); // whoever cares waits for it, too
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  send(message: ToWorker): void {
    // That it has gone is told by `ended`.
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  /**
   * Sends a connection, and behind it a message that Node holds back until the worker has acknowledged the connection,
   * or said that it did not arrive, for want of descriptors: then it is over for that connection, and the next one has
   * its chance.
   */
  hand(socket: Socket, handed: () => void): void {
    if (!this.#child?.connected) return;
    this.#child.send({ type: 'connection' } satisfies ToWorker, socket, { keepOpen: true }, () => {});
    this.#child.send({ type: 'handed' } satisfies ToWorker, error => {
      if (!error) handed();
    });
  }

  measure(): void {
    this.send({ type: 'measure' });
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}

function startError({ code, message }: Extract<ToPrimary, { type: 'failed' }>): Error {
  return code === undefined ? new Error(message) : new PodsocksError(code, message);
}

/** Flags of node that suit a worker: not the debugger's, for it has one port, nor conditions, which choose sources. */
function inheritable(execArgv: readonly string[]): string[] {
  return execArgv.filter(
    (flag, index) =>
      !/^(--inspect|--conditions|-C)/.test(flag) && !/^(--conditions|-C)$/.test(execArgv[index - 1] ?? ''),
  );
}
