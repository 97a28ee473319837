import { Child } from './children.ts';
import type { Contestant } from './contestants.ts';
import { invocationOf, passwordFor } from './ends.ts';
import type { End, Implementation, Programs } from './implementations.ts';
import type { Pinning } from './pinning.ts';
import { freePort, listening } from './ports.ts';
import { processorSeconds } from './process-usage.ts';

export interface PairPlace {
  readonly programs: ReadonlyMap<Implementation, Programs>;
  readonly pinning: Pinning;
  /** For configuration files; private, and removed by whoever made it. */
  readonly directory: string;
}

/** Processor seconds, of each process. */
export type Usage = Readonly<Record<End, number>>;

/** A server and a client as processes of their own, as they run in earnest. */
export class Pair {
  readonly socksPort: number;
  readonly server: Child;
  readonly client: Child;

  private constructor(socksPort: number, server: Child, client: Child) {
    this.socksPort = socksPort;
    this.server = server;
    this.client = client;
  }

  /**
   * Starts both ends on loopback with a key of their own and waits until they listen.
   *
   * @param udp whether they relay datagrams, too.
   */
  static async start(contestant: Contestant, { programs, pinning, directory }: PairPlace, udp = false): Promise<Pair> {
    const { method } = contestant;
    const [serverPort, socksPort] = [await freePort(), await freePort()];
    const settings = { method, password: passwordFor(method), serverPort, socksPort, udp };
    const start = (end: End) => {
      const choice = contestant[end];
      const { args, env } = invocationOf(choice, end, settings, directory);
      const [program, ...first] = programs.get(choice.implementation)![end];
      const command = [program, ...first, ...args] as const;
      return new Child({
        name: `the ${end} (${choice.implementation})`,
        command,
        cpus: contestant.allCpus ? undefined : pinning[end],
        ...(env && { env }),
      });
    };
    const pair = new Pair(socksPort, start('server'), start('client'));
    try {
      await Promise.race([Promise.all([listening(serverPort), listening(socksPort)]), pair.failure()]);
    } catch (error) {
      await pair.stop();
      throw error;
    }
    return pair;
  }

  /** Rejects once one of the two has ended; never resolves. */
  failure(): Promise<never> {
    return Promise.race([this.server.failure(), this.client.failure()]);
  }

  /** Used so far. */
  usage(): Usage {
    return { server: processorSeconds(this.server.pid), client: processorSeconds(this.client.pid) };
  }

  async stop(): Promise<void> {
    await Promise.all([this.server.stop(), this.client.stop()]);
  }
}
