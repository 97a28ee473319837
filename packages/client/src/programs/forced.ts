import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Files, findCommand, obstacleOf } from './executable.ts';
import type { ProxyEndpoint } from './proxy-endpoint.ts';
import { INSTEAD, NO_PROXYCHAINS, OBSTACLES, PROXYCHAINS, proxychainsConfig } from './proxychains.ts';

export interface ForcedSystem {
  readonly platform: NodeJS.Platform;
  readonly files: Files;
  /** Writes a file that nobody else can read; returns its path, and how to remove it. */
  readonly writeSecret: (text: string) => { readonly path: string; remove(): void };
}

/** A command that can be started, or why it cannot. */
export type Forced =
  | { readonly command: readonly [string, ...string[]]; remove(): void }
  | { readonly missing: NodeJS.ErrnoException };

/**
 * A command with proxychains-ng around it.
 *
 * @param path the variable PATH.
 * @param warn is told of a program that is out of its reach.
 * @throws PodsocksError ERR_USAGE where it is not installed, or cannot use the proxy.
 */
export function forced(
  [command, ...args]: readonly [string, ...string[]],
  proxy: ProxyEndpoint,
  path: string | undefined,
  { platform, files, writeSecret }: ForcedSystem,
  warn: (message: string) => void,
): Forced {
  if (platform === 'win32') throw new PodsocksError('ERR_USAGE', NOT_ON_WINDOWS);
  const wrapper = findCommand(PROXYCHAINS, path, files);
  if ('missing' in wrapper) throw new PodsocksError('ERR_USAGE', NO_PROXYCHAINS);
  const config = proxychainsConfig(proxy);
  const found = findCommand(command, path, files);
  if ('missing' in found) return found;
  const hindered = obstacleOf(found.found, path, platform, files);
  if (hindered) warn(`--force: ${hindered.file} ${OBSTACLES[hindered.obstacle]}; ${INSTEAD}`);
  const file = writeSecret(config);
  return { command: [wrapper.found, '-q', '-f', file.path, command, ...args], remove: file.remove };
}

const NOT_ON_WINDOWS =
  '--force: there is no proxychains-ng on Windows; leave it out and use -L or --map, or ss-local proxifier';
