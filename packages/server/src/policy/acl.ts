import { readFileSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Sourced } from '@podsocks/shared/settings/settings';
import { type NamePattern, readName } from './name-pattern.ts';
import { type Network, readNetwork } from './network.ts';
import type { PolicyRule } from './rule.ts';

/*
 * The access control lists of shadowsocks-libev (src/acl.c), and what shadowsocks-rust adds:
 *
 *   # a comment, to the end of the line
 *   [outbound_block_list]
 *   10.0.0.0/8              a network or an address
 *   (^|\.)example\.com$     a regular expression, found anywhere in a name
 *   ||example.com           the name and all below it (shadowsocks-rust)
 *   |www.example.com        the name (shadowsocks-rust)
 *
 * The other sections choose clients by their address, or say what a client sends through the tunnel.
 */

const OUTBOUND = '[outbound_block_list]';
/** What there is without them, too. */
const NO_EFFECT = new Set(['[accept_all]', '[proxy_all]']);
const OTHERS = new Set(['[black_list]', '[bypass_list]', '[white_list]', '[proxy_list]']);
const REJECT = new Set(['[reject_all]', '[bypass_all]']);

/**
 * Reads an access control list (`--acl`).
 *
 * @returns the rule that denies what it blocks, or none.
 * @throws PodsocksError ERR_CONFIG with the line, also for what it says of clients: to pass over that would let in whom it
 *   shuts out.
 */
export function readAclFile({ value: path, from }: Sourced<string>): PolicyRule | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `${from}: cannot read ${path} (${reason}); check the path and its mode`);
  }
  const to = parseAcl(text, `${from}: ${path}`);
  return to.length === 0 ? undefined : { action: 'deny', to, from: `${from} ${path}` };
}

/**
 * What the text of an access control list blocks.
 *
 * Expressions are the administrator's own and run on names that clients choose, of at most 253 characters. That bounds
 * those that take quadratic time, not those that take exponential time, such as `^(a+)+$`.
 *
 * @param place what stands before the line in errors.
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseAcl(text: string, place: string): readonly (Network | NamePattern)[] {
  const blocked: (Network | NamePattern)[] = [];
  let section: string | undefined;
  text.split('\n').forEach((line, i) => {
    const wrong = (message: string) => new PodsocksError('ERR_CONFIG', `${place}: line ${i + 1}: ${message}`);
    const entry = line.replace(/#.*/, '').trim();
    if (entry === '' || NO_EFFECT.has(entry)) return;
    if (REJECT.has(entry)) {
      throw wrong(`${entry} shuts out clients by their address, which is not available; use a NetworkPolicy`);
    }
    if (entry === OUTBOUND || OTHERS.has(entry)) section = entry;
    else if (/^\[\w+\]$/.test(entry)) throw wrong(`${entry} is not a section that is known; only ${OUTBOUND} is used`);
    else if (section === OUTBOUND) blocked.push(...parseEntry(entry, wrong));
    else {
      const where = section === undefined ? 'stands before any section' : `stands in ${section}`;
      throw wrong(
        `${where}, for clients; only ${OUTBOUND} is available: move it there, or remove it and use a NetworkPolicy`,
      );
    }
  });
  return blocked;
}

function parseEntry(entry: string, wrong: (message: string) => PodsocksError): readonly (Network | NamePattern)[] {
  const network = readNetwork(entry)?.network;
  if (network !== undefined) return [network];
  if (entry.startsWith('|')) {
    const isTree = entry.startsWith('||');
    const name = readName(entry.slice(isTree ? 2 : 1));
    if (name === undefined) throw wrong('is no name behind the bar; write ||example.com or |www.example.com');
    return isTree
      ? [
          { kind: 'name', name },
          { kind: 'below', name },
        ]
      : [{ kind: 'name', name }];
  }
  // As an expression it would block nothing, or the wrong names.
  if (entry.includes('/') || /^[\d.]+$/.test(entry)) {
    throw wrong('is no network; write an address or CIDR, such as 10.0.0.0/8');
  }
  if (NOT_JAVASCRIPT.test(entry)) {
    throw wrong(
      'has an expression that means something else in JavaScript ([[:class:]], \\A, \\z, \\Q, \\p, …); write it anew',
    );
  }
  try {
    // PCRE's flag for "ignore case" has no like in JavaScript, and says what is done anyhow.
    return [{ kind: 'expression', expression: new RegExp(entry.replace(/^\(\?i\)/, ''), 'i') }];
  } catch (error) {
    throw wrong(`is no regular expression of JavaScript (${(error as Error).message}); mend or remove it`);
  }
}

/** What PCRE and Rust know, and JavaScript takes for plain letters: such a rule would never apply. */
const NOT_JAVASCRIPT = /\[\[?[:.=]|\\[AZzGQEhHRXKpPNaeC]|\(\?[#>&|+\-\d]|[*+?}]\+/;
