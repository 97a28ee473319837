import { type ChildProcess, type Serializable, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { findOnPath } from './executables.ts';
import { processTree } from './process-usage.ts';

export interface ChildOptions {
  /** What errors call it. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Processors to stay on, as taskset takes them. */
  readonly cpus?: string | undefined;
  /** Whether messages go to and fro, as `child_process.fork` has it. */
  readonly messages?: boolean;
}

/** How much of what a program printed is kept, and how much of that an error message holds. */
const OUTPUT_CHARACTERS = 10_000;
const LAST_WORDS_CHARACTERS = 800;

const SUCCESS = 'exit code 0';

const running = new Set<ChildProcess>();
const directories = new Set<string>();

/** A child process that ends with this one at the latest. */
export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  #output = '';

  constructor({ name, command, env, cpus, messages = false }: ChildOptions) {
    const [program, ...args] = cpus === undefined ? command : [findOnPath('taskset')!, '-c', cpus, ...command];
    this.name = name;
    this.#process = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...(messages ? (['ipc'] as const) : [])],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS);
      });
    }
    running.add(this.#process);
    this.#ended = new Promise(resolve => {
      this.#process.once('error', error => resolve(error.message));
      // 'close' comes after 'exit' and the last of both streams.
      this.#process.once('close', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
    });
    this.#ended.then(() => running.delete(this.#process));
    this.pid = this.#process.pid ?? 0;
  }

  /** Rejects once the process has ended, with how and its last words; never resolves. */
  async failure(): Promise<never> {
    throw this.#failed(await this.#ended);
  }

  /** Waits for its end and gives what it printed, on both streams; rejects unless that was a success. */
  async output(): Promise<string> {
    const how = await this.#ended;
    if (how !== SUCCESS) throw this.#failed(how);
    return this.#output;
  }

  #failed(how: string): Error {
    const words = this.#output.slice(-LAST_WORDS_CHARACTERS).trim();
    return new Error(`${this.name} ended (${how})${words === '' ? '' : `: ${words}`}`);
  }

  /** Sends a message and waits for the next one that comes back. */
  async ask(message: Serializable): Promise<unknown> {
    const answer = once(this.#process, 'message');
    this.#process.send(message, () => {}); // one that has ended is what failure() tells about
    return (await answer)[0];
  }

  /** The next message. */
  async message(): Promise<unknown> {
    return (await once(this.#process, 'message'))[0];
  }

  /** Kills it, and what it has started, and waits for its end. */
  async stop(): Promise<void> {
    killTree(this.#process);
    await this.#ended;
  }
}

/** Has a directory removed, with what is in it, when this process ends. */
export function removeAtExit(directory: string): void {
  directories.add(directory);
}

/** Sees to it that no process and no file outlives this process, whether it ends, throws or is told to stop. */
export function cleanUpAtExit(): void {
  process.on('exit', () => {
    for (const child of running) killTree(child);
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });
  const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
  for (const [signal, exitCode] of Object.entries(signals)) process.on(signal, () => process.exit(exitCode));
}

/** The process itself first, so that it starts no others in the place of those that end. */
function killTree(child: ChildProcess): void {
  const others = child.pid === undefined ? [] : processTree(child.pid).slice(1);
  child.kill('SIGKILL');
  for (const pid of others) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
}
