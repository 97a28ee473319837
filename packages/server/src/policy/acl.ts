import { aclLines, isAclSection, parseAclEntry, readAclText } from '@podsocks/shared/matching/acl-file';
import type { NamePattern } from '@podsocks/shared/matching/name-pattern';
import type { Network } from '@podsocks/shared/matching/network';
import type { Sourced } from '@podsocks/shared/settings/settings';
import type { PolicyRule } from './rule.ts';

const OUTBOUND = '[outbound_block_list]';
/** What there is without them, too. */
const NO_EFFECT = new Set(['[accept_all]', '[proxy_all]']);
/** They choose clients by their address, or say what a client sends through the tunnel. */
const OTHERS = new Set(['[black_list]', '[bypass_list]', '[white_list]', '[proxy_list]']);
const REJECT = new Set(['[reject_all]', '[bypass_all]']);

/**
 * Reads an access control list (`--acl`).
 *
 * @returns the rule that denies what it blocks, or none.
 * @throws PodsocksError ERR_CONFIG with the line, also for what it says of clients: to pass over that would let in whom it
 *   shuts out.
 */
export function readAclFile(acl: Sourced<string>): PolicyRule | undefined {
  const to = parseAcl(readAclText(acl), `${acl.from}: ${acl.value}`);
  return to.length === 0 ? undefined : { action: 'deny', to, from: `${acl.from} ${acl.value}` };
}

/**
 * What the text of an access control list blocks.
 *
 * @param place what stands before the line in errors.
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseAcl(text: string, place: string): readonly (Network | NamePattern)[] {
  const blocked: (Network | NamePattern)[] = [];
  let section: string | undefined;
  for (const line of aclLines(text, place)) {
    const { text: said, wrong } = line;
    if (NO_EFFECT.has(said)) continue;
    if (REJECT.has(said)) {
      throw wrong(`${said} shuts out clients by their address, which is not available; use a NetworkPolicy`);
    }
    if (said === OUTBOUND || OTHERS.has(said)) section = said;
    else if (isAclSection(said)) throw wrong(`${said} is not a section that is known; only ${OUTBOUND} is used`);
    else if (section === OUTBOUND) blocked.push(...parseAclEntry(line));
    else {
      const where = section === undefined ? 'stands before any section' : `stands in ${section}`;
      throw wrong(
        `${where}, for clients; only ${OUTBOUND} is available: move it there, or remove it and use a NetworkPolicy`,
      );
    }
  }
  return blocked;
}
