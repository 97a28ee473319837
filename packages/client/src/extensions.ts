import type { Logger } from '@podsocks/shared/runtime/log';
import type { KnownServer, ProbeOutcome } from './server-probe.ts';

/** How long a proof is good, in milliseconds. Each connect status is one, so a server that is in use is not asked. */
const GOOD_MS = 30_000;

/** How soon one is asked again that was down, or said nothing. */
const RETRY_MS = 5_000;

/** How long a connection waits for a server that has not said anything yet, from when it was asked. */
const PATIENCE_MS = 1_000;

/** So often a server may say that it is podsocks, and then not send a connect status, until it is taken for a plain one. */
const MOST_BROKEN = 3;

/** For how long, in milliseconds. */
const DISTRUST_MS = 300_000;

export interface ExtensionsOptions {
  /** Asks the server. Never rejects. */
  readonly probe: (signal: AbortSignal) => Promise<ProbeOutcome>;
  readonly log: Logger;
  /** What the log calls the server; default: there is no other. */
  readonly name?: string;
  /** Is told of each answer, and where something else is known of the server than before. */
  readonly answered?: (outcome: ProbeOutcome, isNews: boolean) => void;
  /** Is told of each connect status that has come. */
  readonly proved?: () => void;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/**
 * What is known of a server's extensions. It is asked at the start, and again by the first connection after some time, and
 * after a request that it should have understood has failed: another server may be behind its address by then.
 */
export class Extensions {
  readonly #options: ExtensionsOptions;
  readonly #closing = new AbortController();
  #kind: ProbeOutcome['kind'] = 'unknown';
  #server: KnownServer | undefined;
  /** When it has shown what it is, or was found not to. */
  #seenAt = Number.NEGATIVE_INFINITY;
  #probing: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Whether there is no answer since the start, or since it was doubted; one that was silent is not waited for again. */
  #isAwaited = true;
  /** How often its word was broken since it was last kept, and when. */
  #broken = 0;
  #brokenAt = Number.NEGATIVE_INFINITY;
  #said = '';
  #known: KnownServer | undefined;

  constructor(options: ExtensionsOptions) {
    this.#options = options;
  }

  /** What the server has said of itself and its cluster, the last time that it said something. */
  get known(): KnownServer | undefined {
    return this.#known;
  }

  /** What it has shown to be: `unknown` before the first answer, and while it is silent or in doubt. */
  get kind(): ProbeOutcome['kind'] {
    return this.#kind;
  }

  /** Asks the server, unless it is being asked. Resolves with the answer, or when it is late. */
  ask(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    if (this.#probing !== undefined) return this.#probing;
    const { probe, now } = this.#options;
    this.#askedAt = now();
    this.#probing = probe(this.#closing.signal).then(outcome => {
      this.#probing = undefined;
      this.#learn(outcome);
    });
    return this.#probing;
  }

  /** Asks now and then. Waits a moment for a server of which nothing is known yet. */
  async heard(): Promise<void> {
    const { now } = this.#options;
    if (now() - this.#seenAt >= (this.#kind === 'unknown' ? RETRY_MS : GOOD_MS)) void this.ask();
    const left = this.#askedAt + PATIENCE_MS - now();
    if (this.#isAwaited && this.#probing !== undefined && left > 0) await within(left, this.#probing);
  }

  /** Whether a request is to ask for a connect status, as soon as the server is {@link heard}. */
  async wantsStatus(): Promise<boolean> {
    await this.heard();
    const { now } = this.#options;
    // Whoever answers for all names there may answer for this one, too.
    if (this.#broken >= MOST_BROKEN && now() - this.#brokenAt < DISTRUST_MS) return false;
    return this.#server?.hasConnectStatus ?? false;
  }

  /** The server has sent a connect status. */
  proven(): void {
    this.#options.proved?.();
    if (this.#kind !== 'podsocks') return;
    this.#seenAt = this.#options.now();
    this.#broken = 0;
  }

  /** A request that asked for a connect status got none. Until the server has been asked again, none asks for one. */
  doubt(): void {
    if (this.#kind === 'podsocks') {
      this.#broken++;
      this.#brokenAt = this.#options.now();
      if (this.#broken === MOST_BROKEN) this.#options.log.warn(broken(this.#options.name));
    }
    this.#kind = 'unknown';
    this.#server = undefined;
    this.#isAwaited = true;
    void this.ask();
  }

  close(): void {
    this.#closing.abort();
  }

  #learn(outcome: ProbeOutcome): void {
    const { log, now, name, answered } = this.#options;
    if (this.#closing.signal.aborted) return;
    const wasPlain = this.#kind === 'plain';
    const before = this.#known;
    this.#seenAt = now();
    this.#isAwaited = false;
    this.#kind = outcome.kind;
    this.#server = outcome.kind === 'podsocks' ? outcome.server : undefined;
    if (outcome.kind === 'podsocks') this.#known = outcome.server;
    // Once only, it may be a tunnel in front of a server that has just died.
    else if (outcome.kind === 'plain' && wasPlain) this.#known = undefined;
    const text = said(outcome, serverNamed(name));
    // Of several servers, whoever chooses among them says which one is not there.
    const isElsewhere = outcome.kind === 'unknown' && name !== undefined;
    if (text !== this.#said) log[isElsewhere ? 'debug' : 'info'](text);
    this.#said = text;
    answered?.(outcome, !isSame(before, this.#known));
  }
}

function said(outcome: ProbeOutcome, server: string): string {
  if (outcome.kind === 'plain') return `${server} is a plain Shadowsocks server: ${EARLY}`;
  if (outcome.kind === 'unknown')
    return `${server} does not say what it is (${outcome.reason}); until it does, ${EARLY}`;
  const { version, domain, hasConnectStatus } = outcome.server;
  const cluster = domain === undefined ? '' : `, cluster domain ${domain}`;
  return `${server} is podsocks ${version}${cluster}${hasConnectStatus ? '' : `: ${EARLY}`}`;
}

/** Clocks apart, which differ a little each time. */
function isSame(one: KnownServer | undefined, other: KnownServer | undefined): boolean {
  const text = (known: KnownServer | undefined) => JSON.stringify({ ...known, clockAhead: undefined });
  return one === other || text(one) === text(other);
}

function broken(name: string | undefined): string {
  return `${serverNamed(name)} says that it is podsocks, and does not tell what becomes of a connect; taking it for a plain one for 5 minutes`;
}

function serverNamed(name: string | undefined): string {
  return name === undefined ? 'the server' : `the server ${name}`;
}

const EARLY = 'the answer to a connect is given before the target is reached';

/** Waits for a promise, but not for longer than so many milliseconds. */
async function within(timeout: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, timeout);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
