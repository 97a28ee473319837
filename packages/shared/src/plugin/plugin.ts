import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../net/acceptor.ts';
import { PodsocksError } from '../runtime/errors.ts';
import type { Logger } from '../runtime/log.ts';
import { formatTarget } from '../wire/address.ts';
import type { PluginConfig } from './fields.ts';
import { debianPackageOf, type PluginRole, programNames } from './known-plugins.ts';
import { PluginOutput } from './plugin-output.ts';
import { PluginProcess } from './plugin-process.ts';
import { freeEndpoint, isAccepting } from './port.ts';
import { findProgram, isPath } from './program-path.ts';

/*
 * SIP003. A plugin is a program that forwards TCP, and is told from where to where by its environment:
 *
 *   program ▸ ss-local ▸ SS_LOCAL_*  plugin ═══════▶ SS_REMOTE_*  plugin ▸ SS_LOCAL_*  ss-server ▸ target
 *
 * SS_REMOTE_* are the public ends: what the client's plugin connects to, and where the server's listens.
 */

export interface PluginOptions extends PluginConfig {
  readonly role: PluginRole;
  /** Of a client, the server; of a server, where clients connect to. */
  readonly remote: Endpoint;
  /** Of a server, where it listens for what the plugin hands on. A client's plugin gets a port that is free. */
  readonly local?: Endpoint;
  readonly log: Logger;
  /** Milliseconds that it may take until it listens. */
  readonly startTimeout?: number;
}

const START_TIMEOUT_MS = 5_000;

/** How often to look whether it listens. */
const LOOK_MS = 20;

/** Between the end of one and the start of the next; twice as long each time, until one has lived for a while. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const SOUND_MS = 60_000;

const LOOPBACK = '127.0.0.1';

/**
 * Starts a plugin and keeps it running.
 *
 * @returns when it listens.
 * @throws PodsocksError ERR_CONFIG where there is no such program, ERR_LISTEN if it does not come to listen; then nothing
 *   runs.
 */
export async function startPlugin(options: PluginOptions): Promise<Plugin> {
  const plugin = new Plugin(options, { givesUp: true });
  await plugin.started;
  return plugin;
}

/** As {@link startPlugin}, at once, for one of several ways: a first start that fails is followed by others, too. */
export function keepPlugin(options: PluginOptions): Plugin {
  return new Plugin(options, { givesUp: false });
}

/** A plugin that is started again whenever it ends, until it is closed. */
export class Plugin {
  readonly name: string;
  /** When it listens for the first time; rejects if its first start fails. */
  readonly started: Promise<void>;
  readonly #options: PluginOptions;
  readonly #stopping = new AbortController();
  /** When it is not started any more, and gone. */
  readonly #over: Promise<void>;
  #process: PluginProcess | undefined;
  #listening: Endpoint | undefined;
  #trouble = 'it is being started';

  /** @param givesUp whether a first start that fails is the end of it. */
  constructor(options: PluginOptions, { givesUp }: { readonly givesUp: boolean }) {
    this.#options = options;
    this.name = options.command.replace(/^.*[/\\]/, '');
    let listening!: () => void;
    const listened = new Promise<void>(resolve => {
      listening = resolve;
    });
    const first = this.#run(listening);
    this.started = Promise.race([listened, first.then(() => {})]);
    this.started.catch(() => {}); // whoever cares waits for it, too
    const keep = () => this.#keep(first);
    this.#over = givesUp ? this.started.then(keep, () => {}) : keep();
  }

  /**
   * Where it listens. A client's changes with each start.
   *
   * @throws PodsocksError ERR_DIAL while it does not.
   */
  endpoint(): Endpoint {
    if (this.#listening !== undefined) return this.#listening;
    throw new PodsocksError('ERR_DIAL', this.obstacle!);
  }

  /** Why nothing goes through it; undefined while it listens. */
  get obstacle(): string | undefined {
    return this.#listening === undefined ? `the plugin ${this.name} does not run: ${this.#trouble}` : undefined;
  }

  /** Ends it: with SIGTERM, and 2 s later with SIGKILL. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop();
    await this.#over;
  }

  /** Follows one life with another. */
  async #keep(first: Promise<string>): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stopping;
    let delay = FIRST_DELAY_MS;
    for (let life = first; ; life = this.#run()) {
      const begunAt = performance.now();
      this.#trouble = await life.catch((error: Error) => error.message);
      if (signal.aborted) return;
      if (performance.now() - begunAt >= SOUND_MS) delay = FIRST_DELAY_MS;
      log.error({ plugin: this.name, delay }, `the plugin ${this.name} will be started again: ${this.#trouble}`);
      await sleep(delay, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      delay = Math.min(2 * delay, LONGEST_DELAY_MS);
    }
  }

  /**
   * One life of it.
   *
   * @returns how it has ended after it had listened.
   * @throws PodsocksError as {@link startPlugin}; then it is gone.
   */
  async #run(listened = () => {}): Promise<string> {
    const { role, remote, options, log, startTimeout = START_TIMEOUT_MS } = this.#options;
    const program = this.#find();
    const listening = await freeEndpoint(role === 'client' ? { host: LOOPBACK, port: 0 } : remote);
    const output = new PluginOutput(this.name, options, log);
    if (this.#stopping.signal.aborted) throw new PodsocksError('ERR_CLOSED', 'it is not needed any more');
    const child = this.#spawn(program, listening, output);
    this.#process = child;
    const ended = child.ended.then(how => {
      this.#process = undefined;
      this.#listening = undefined;
      const words = output.lastWords();
      return words === '' ? `it has ended (${how})` : `it has ended (${how}): ${words}`;
    });
    const end = await Promise.race([ended, listens(listening, startTimeout, ended)]);
    if (typeof end === 'string') throw this.#failure(`${end}; see what it says, and its options`);
    if (!end) {
      await child.stop();
      const words = output.lastWords();
      const said = words === '' ? 'and says nothing' : `and says: ${words}`;
      throw this.#failure(`it does not listen on ${formatTarget(listening)} after ${startTimeout / 1000} s, ${said}`);
    }
    this.#listening = listening;
    const way =
      role === 'client'
        ? `takes what is for ${formatTarget(remote)} on ${formatTarget(listening)}`
        : `listens on ${formatTarget(listening)}`;
    log.info({ plugin: this.name, pid: child.pid }, `the plugin ${this.name} ${way}`);
    listened();
    return ended;
  }

  #spawn(program: string, listening: Endpoint, output: PluginOutput): PluginProcess {
    try {
      return new PluginProcess(program, this.#environment(listening), output);
    } catch (error) {
      // Options that are longer than the system takes, for one.
      throw this.#failure(`it cannot be run (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  #find(): string {
    const { command, role, environment, from } = this.#options;
    const program = findProgram(programNames(command, role), environment);
    if (program !== undefined) return program;
    const shown = JSON.stringify(command.length > 80 ? `${command.slice(0, 80)}…` : command);
    if (isPath(command)) {
      throw new PodsocksError('ERR_CONFIG', `${from}: ${shown} is no program that this user may run; check its path`);
    }
    const debian = debianPackageOf(command);
    const install = debian === undefined ? 'install it' : `install it (in Debian: apt install ${debian})`;
    const hint = /\s/.test(command) ? '; what stands behind the name of a program goes into --plugin-opts' : '';
    throw new PodsocksError('ERR_CONFIG', `${from}: no program ${shown} on PATH; ${install}, or give its path${hint}`);
  }

  #environment(listening: Endpoint): Record<string, string> {
    const { role, remote, local, options, environment } = this.#options;
    const near = role === 'client' ? listening : local!;
    return {
      ...environment,
      SS_REMOTE_HOST: remote.host,
      SS_REMOTE_PORT: `${remote.port}`,
      SS_LOCAL_HOST: near.host,
      SS_LOCAL_PORT: `${near.port}`,
      ...(options !== undefined && { SS_PLUGIN_OPTIONS: options }),
    };
  }

  #failure(what: string): PodsocksError {
    return new PodsocksError('ERR_LISTEN', `the plugin ${this.name} did not start: ${what}`);
  }
}

/** Whether it comes to listen in time; it looks no longer once the plugin has ended. */
async function listens(endpoint: Endpoint, timeout: number, ended: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const deadline = performance.now() + timeout;
  while (!isOver && performance.now() < deadline) {
    if (await isAccepting(endpoint)) return true;
    await sleep(LOOK_MS);
  }
  return false;
}
