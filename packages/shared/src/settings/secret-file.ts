import { readFileSync, type Stats, statSync } from 'node:fs';
import { PodsocksError } from '../runtime/errors.ts';
import type { Sourced, Warn } from './settings.ts';

/** A secret from a file, without the newline that editors end it with. */
export function readSecretFile({ value: path, from }: Sourced<string>, warn: Warn): Sourced<string> {
  let text: string;
  let isOpen: boolean;
  try {
    text = readFileSync(path, 'utf8');
    isOpen = othersCanRead(statSync(path));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `${from}: cannot read ${path} (${reason}); check the path and its mode`);
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new PodsocksError('ERR_CONFIG', `${from}: ${path} is empty; put the password into it`);
  if (isOpen) {
    warn(`${from}: others can read ${path}; run: chmod 600 ${path} (of a Secret volume: defaultMode: 0400)`);
  }
  return { value, from: `${from} ${path}` };
}

/** Whether a file that holds secrets can be read by others who have no business with it. */
export function othersCanRead({ mode, uid }: Pick<Stats, 'mode' | 'uid'>): boolean {
  // In a pod that does not run as root, the group (fsGroup) is how it may read the file of root: no fault there.
  const byGroup = (mode & 0o040) !== 0 && uid === process.getuid?.();
  return process.platform !== 'win32' && ((mode & 0o004) !== 0 || byGroup);
}
