import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Policy } from '../policy/policy.ts';
import { failureOf, type ResolveFailure } from '../resolver/failure.ts';
import type { Resolver } from '../resolver/resolver.ts';
import type { UserLookups } from '../resolver/user-lookups.ts';

/** What the information host knows, and from whom. */
export interface InformationSources {
  readonly resolver: Pick<Resolver, 'resolve' | 'query' | 'settings'>;
  readonly lookups: Pick<UserLookups, 'ask'>;
  readonly policy: Pick<Policy, 'evaluate' | 'evaluateAsked' | 'mayLookUp' | 'allowedNetworks' | 'default'>;
  /** Whether this server, perhaps another worker of it, takes datagrams. */
  readonly carriesUdp: boolean;
}

/** A question of somebody with a key. */
export interface InformationRequest {
  readonly user: string;
  readonly parameters: URLSearchParams;
}

/** An answer that is an error: the status of HTTP, a stable code, and what is wrong in words. */
export class InformationError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** A parameter of the query that is there exactly once, and at most so long. @throws InformationError */
export function parameter(parameters: URLSearchParams, name: string, example: string): string {
  const [value, ...more] = parameters.getAll(name);
  if (value === undefined || value === '') {
    throw new InformationError(400, 'bad-request', `the parameter "${name}" is missing; give ${name}=${example}`);
  }
  if (more.length > 0)
    throw new InformationError(400, 'bad-request', `the parameter "${name}" is there more than once`);
  if (value.length > MAX_TEXT) {
    throw new InformationError(400, 'bad-request', `the parameter "${name}" has more than ${MAX_TEXT} characters`);
  }
  return value;
}

/** One of these words, which `unless` stands for where there is none. @throws InformationError */
export function choice<T extends string>(
  parameters: URLSearchParams,
  name: string,
  choices: readonly T[],
  unless: T,
): T {
  if (!parameters.has(name)) return unless;
  const given = parameter(parameters, name, unless);
  const found = choices.find(each => each === given.toUpperCase() || each === given.toLowerCase());
  if (found !== undefined) return found;
  throw new InformationError(400, 'bad-request', `the parameter "${name}" is none of ${choices.join(', ')}`);
}

/** A name to which no search list adds anything. */
export function absolute(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}

/** The longest name of DNS has 253 bytes. */
const MAX_TEXT = 256;

/** What an error of the resolver says to the client; any other error is a fault, and comes back as it was. */
export function asAnswer(error: unknown): unknown {
  const failure = failureOf(error);
  if (!(error instanceof PodsocksError) || failure === undefined) return error;
  return new InformationError(STATUS[failure], failure, error.message);
}

const STATUS: Record<ResolveFailure, number> = {
  'not-found': 404,
  'no-address': 404,
  'server-failed': 502,
  'timed-out': 504,
  busy: 429,
  closed: 503,
};
