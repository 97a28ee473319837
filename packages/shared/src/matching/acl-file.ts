import { readFileSync } from 'node:fs';
import { PodsocksError } from '../runtime/errors.ts';
import type { Sourced } from '../settings/settings.ts';
import { type NamePattern, readName } from './name-pattern.ts';
import { type Network, readNetwork } from './network.ts';

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
 * The sections mean different things to ss-server and ss-local.
 */

/** A line that says something: a section, or an entry of one. */
export interface AclLine {
  readonly text: string;
  /** The error that names this line. */
  readonly wrong: (message: string) => PodsocksError;
}

/** What an entry means. */
export type AclPlace = Network | Exclude<NamePattern, { readonly kind: 'any' }>;

/** @throws PodsocksError ERR_CONFIG where the file cannot be read. */
export function readAclText({ value: path, from }: Sourced<string>): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `${from}: cannot read ${path} (${reason}); check the path and its mode`);
  }
}

/** @param place what stands before the line in errors. */
export function aclLines(text: string, place: string): AclLine[] {
  return text.split('\n').flatMap((line, i) => {
    const said = line.replace(/#.*/, '').trim();
    if (said === '') return [];
    const wrong = (message: string) => new PodsocksError('ERR_CONFIG', `${place}: line ${i + 1}: ${message}`);
    return [{ text: said, wrong }];
  });
}

/** Whether a line has the form of a section, known or not: as an expression, letters in brackets would be of no use. */
export function isAclSection(text: string): boolean {
  return /^\[\w+\]$/.test(text);
}

/**
 * What an entry of a section means.
 *
 * Expressions are the administrator's own and run on names that clients choose, of at most 255 characters. That bounds
 * those that take quadratic time, not those that take exponential time, such as `^(a+)+$`.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseAclEntry({ text, wrong }: AclLine): readonly AclPlace[] {
  const network = readNetwork(text)?.network;
  if (network !== undefined) return [network];
  if (text.startsWith('|')) {
    const isTree = text.startsWith('||');
    const name = readName(text.slice(isTree ? 2 : 1));
    if (name === undefined) throw wrong('is no name behind the bar; write ||example.com or |www.example.com');
    return isTree
      ? [
          { kind: 'name', name },
          { kind: 'below', name },
        ]
      : [{ kind: 'name', name }];
  }
  // As an expression it would mean nothing, or the wrong names.
  if (text.includes('/') || /^[\d.]+$/.test(text)) {
    throw wrong('is no network; write an address or CIDR, such as 10.0.0.0/8');
  }
  if (NOT_JAVASCRIPT.test(text)) {
    throw wrong(
      'has an expression that means something else in JavaScript ([[:class:]], \\A, \\z, \\Q, \\p, …); write it anew',
    );
  }
  try {
    // PCRE's flag for "ignore case" has no like in JavaScript, and says what is done anyhow.
    return [{ kind: 'expression', expression: new RegExp(text.replace(/^\(\?i\)/, ''), 'i') }];
  } catch (error) {
    throw wrong(`is no regular expression of JavaScript (${(error as Error).message}); mend or remove it`);
  }
}

/** What PCRE and Rust know, and JavaScript takes for plain letters: such a rule would never apply. */
const NOT_JAVASCRIPT = /\[\[?[:.=]|\\[AZzGQEhHRXKpPNaeC]|\(\?[#>&|+\-\d]|[*+?}]\+/;
