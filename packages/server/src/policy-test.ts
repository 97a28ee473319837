import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Settings, single } from '@podsocks/shared/settings/settings';
import { oneOf, parseHost } from '@podsocks/shared/settings/values';
import { targetOf } from '@podsocks/shared/wire/address';
import type { ServerConfig } from './config.ts';
import { DEFAULT_USER, knownUsers } from './keyring.ts';
import { explain } from './policy/explain.ts';
import { parseMember } from './policy/fields.ts';
import type { Resolver } from './resolver/resolver.ts';
import { policyOf } from './server-policy.ts';

export const POLICY_TEST_SETTINGS = {
  user: single({ flags: '--user <name>' }, `who wants to go there (default: ${DEFAULT_USER})`, parseMember),
  protocol: single({ flags: '--protocol <name>' }, 'tcp or udp (default: tcp)', oneOf(['tcp', 'udp'] as const)),
} satisfies Settings;

export interface PolicyTest {
  readonly user: string | undefined;
  readonly protocol: 'tcp' | 'udp' | undefined;
  /** `host:port`. */
  readonly target: string;
}

/**
 * What the policy says of a target, and why: the text of `ss-server policy test`.
 *
 * @returns whether any of its addresses may be gone to.
 * @throws PodsocksError ERR_USAGE for a user who is not there, or a target without a port.
 */
export async function testPolicy(
  config: ServerConfig,
  resolver: Pick<Resolver, 'resolve'>,
  { user = DEFAULT_USER, protocol = 'tcp', target }: PolicyTest,
): Promise<{ readonly text: string; readonly allowed: boolean }> {
  const { host: given, port } = parseHost(target);
  if (!port)
    throw new PodsocksError('ERR_USAGE', 'policy test: the target has no port that could be dialled; give host:port');
  const known = knownUsers(config).map(({ name }) => name);
  if (!known.includes(user)) {
    throw new PodsocksError(
      'ERR_USAGE',
      `--user: nobody is called ${JSON.stringify(user)}; known are ${known.join(', ')}`,
    );
  }
  const { policy } = policyOf(config);
  const { type, host } = targetOf(given, port);
  const name = type === 'name' ? host : undefined;
  const question = { user, protocol, name, port };
  if (policy.evaluateAsked(question) !== undefined) return explain(policy, { ...question, addresses: [] });
  let missing = '';
  const found = await resolver.resolve(host).catch((error: Error) => {
    missing = `${error.message}\n`;
    return [];
  });
  const { text, allowed } = explain(policy, {
    ...question,
    name: found[0]?.name ?? name,
    addresses: found.map(({ address }) => address),
  });
  return { text: missing + text, allowed };
}
