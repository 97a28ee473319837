import { fileURLToPath } from 'node:url';
import { Child } from '../children.ts';
import { processorSeconds } from '../process-usage.ts';
import type { Answer, CommandName, Parameters, Reply, Route, TargetPorts } from './commands.ts';

/** The process that traffic goes to. */
export class Target {
  readonly child: Child;
  readonly ports: TargetPorts;

  private constructor(child: Child, ports: TargetPorts) {
    this.child = child;
    this.ports = ports;
  }

  /** @param cpus processors to stay on, as taskset takes them. */
  static async start(cpus?: string): Promise<Target> {
    const child = new Child({ name: 'the target of the load', command: script('target'), cpus, messages: true });
    const ports = await Promise.race([child.message(), child.failure()]);
    return new Target(child, ports as TargetPorts);
  }
}

/** A process that traffic comes from and one that it goes to. */
export class Load {
  readonly #generator: Child;
  readonly #target: Target;

  private constructor(generator: Child, target: Target) {
    this.#generator = generator;
    this.#target = target;
  }

  /** @param cpus processors to stay on, as taskset takes them. */
  static async start(cpus: string | undefined): Promise<Load> {
    const target = await Target.start(cpus);
    return new Load(
      new Child({ name: 'the load generator', command: script('generator'), cpus, messages: true }),
      target,
    );
  }

  /** The way to a port of the target. */
  route(to: keyof TargetPorts, socksPort: number | undefined): Route {
    return { port: this.#target.ports[to], socksPort };
  }

  /** Has the generator do something. Rejects with its words when that fails. */
  async ask<Name extends CommandName>(name: Name, parameters: Parameters<Name>): Promise<Answer<Name>> {
    const answered = this.#generator.ask({ name, parameters });
    const reply = (await Promise.race([answered, this.failure()])) as Reply;
    if ('error' in reply) throw new Error(reply.error);
    return reply.answer as Answer<Name>;
  }

  /** Rejects once one of the two has ended; never resolves. */
  failure(): Promise<never> {
    return Promise.race([this.#generator.failure(), this.#target.child.failure()]);
  }

  /** Processor seconds of both together, so far. */
  usage(): number {
    return processorSeconds(this.#generator.pid) + processorSeconds(this.#target.child.pid);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#generator.stop(), this.#target.child.stop()]);
  }
}

function script(name: 'generator' | 'target'): [string, string] {
  return [process.execPath, fileURLToPath(new URL(`./${name}-process.js`, import.meta.url))];
}
