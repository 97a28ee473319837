import { type AclLine, aclLines, isAclSection, parseAclEntry, readAclText } from '@podsocks/shared/matching/acl-file';
import type { Sourced } from '@podsocks/shared/settings/settings';
import type { RouteRule, Way } from './route-rule.ts';

/** What an access control list says of targets. */
export interface RouteAcl {
  /** What it blocks. */
  readonly blocked: readonly RouteRule[];
  /** What it sends directly, and then what it sends through the tunnel. */
  readonly lists: readonly RouteRule[];
  /** Of all the rest, if it says something of that. */
  readonly default?: Way;
}

const SECTIONS: Readonly<Record<string, Way>> = {
  '[outbound_block_list]': 'reject',
  '[bypass_list]': 'direct',
  '[black_list]': 'direct',
  '[proxy_list]': 'tunnel',
  '[white_list]': 'tunnel',
};

const DEFAULTS: Readonly<Record<string, Way>> = {
  '[proxy_all]': 'tunnel',
  '[accept_all]': 'tunnel',
  '[bypass_all]': 'direct',
  '[reject_all]': 'direct',
};

/**
 * Reads an access control list as ss-local of shadowsocks-libev means it (`--acl`).
 *
 * @throws PodsocksError ERR_CONFIG with the line.
 */
export function readRouteAcl(acl: Sourced<string>): RouteAcl {
  return parseRouteAcl(readAclText(acl), `${acl.from} ${acl.value}`, `${acl.from}: ${acl.value}`);
}

/**
 * @param from what rules say that they are from.
 * @param place what stands before the line in errors.
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseRouteAcl(text: string, from: string, place: string): RouteAcl {
  const entries: Record<Way, AclLine[]> = { reject: [], direct: [], tunnel: [] };
  let section: Way = 'direct'; // of entries before any section (acl.c, init_acl)
  let byDefault: Way | undefined;
  for (const line of aclLines(text, place)) {
    if (Object.hasOwn(SECTIONS, line.text)) section = SECTIONS[line.text]!;
    else if (Object.hasOwn(DEFAULTS, line.text)) byDefault = DEFAULTS[line.text];
    else if (isAclSection(line.text)) {
      const known = [...Object.keys(DEFAULTS), ...Object.keys(SECTIONS)].join(', ');
      throw line.wrong(`${line.text} is not a section that is known; known are ${known}`);
    } else entries[section].push(line);
  }
  const rules = (way: Way, name: string): RouteRule[] => {
    const to = entries[way].flatMap(parseAclEntry);
    return to.length === 0 ? [] : [{ way, to, from: `${from}: ${name}` }];
  };
  return {
    blocked: rules('reject', '[outbound_block_list]'),
    // In this order: what is in both goes directly (acl.c, acl_match_host).
    lists: [...rules('direct', '[bypass_list]'), ...rules('tunnel', '[proxy_list]')],
    ...(byDefault && { default: byDefault }),
  };
}
