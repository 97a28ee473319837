import { isIP } from 'node:net';
import { targetOf } from '@podsocks/shared/wire/address';
import type { Verdict } from '../policy/verdict.ts';
import {
  absolute,
  choice,
  InformationError,
  type InformationRequest,
  type InformationSources,
  parameter,
} from './answer.ts';

export interface PolicyAnswer {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  /** Whether one of the addresses may be gone to. */
  readonly allowed: boolean;
  /** What decided: of several addresses, what allows the first that may be gone to, or denies the first. */
  readonly rule: string;
  /** Of a name that is denied whatever its address is, none: it was not looked up. */
  readonly addresses: readonly ({ readonly address: string } & Verdict)[];
}

/**
 * `GET /v1/policy?host=&port=&protocol=`: what would become of a connection of this user, and by which rule. Rules for
 * others are not looked at.
 *
 * @throws InformationError or PodsocksError, as the resolver does.
 */
export async function policy(
  { user, parameters }: InformationRequest,
  { resolver, lookups, policy: rules }: InformationSources,
): Promise<PolicyAnswer> {
  const { type, host } = targetOf(parameter(parameters, 'host', 'web.default'), 0);
  const port = portIn(parameter(parameters, 'port', '80'));
  const protocol = choice(parameters, 'protocol', ['tcp', 'udp'], 'tcp');
  const asked = { host, port, protocol };
  const name = type === 'name' ? host : undefined;
  const denied = name !== undefined && isIP(name) !== 0 ? ZONE : rules.evaluateAsked({ user, protocol, name, port });
  if (denied !== undefined) return { ...asked, ...denied, addresses: [] };

  const found = name === undefined ? [{ address: host }] : await lookups.ask(user, name, () => resolver.resolve(name));
  const addresses = found.map(({ address, name: completed = name }: { address: string; name?: string }) => ({
    address,
    ...rules.evaluate({ user, protocol, name: completed, address, port }),
  }));
  // Its addresses are no business of somebody who may not go there on any port.
  const isTold = found.some(
    ({ name: completed = name }: { name?: string }) => !completed || rules.mayLookUp(user, absolute(completed)),
  );
  const decisive = addresses.find(({ allowed }) => allowed) ?? addresses[0]!;
  return { ...asked, allowed: decisive.allowed, rule: decisive.rule, addresses: isTold ? addresses : [] };
}

const ZONE: Verdict = { allowed: false, rule: 'built in: an address with a zone' };

function portIn(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 0xffff) return port;
  throw new InformationError(400, 'bad-request', 'the parameter "port" is no number from 1 to 65535');
}
