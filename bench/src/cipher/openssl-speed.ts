import { Child } from '../children.ts';
import { findOnPath, outputOf } from '../executables.ts';

/** Such as `OpenSSL 3.0.19 27 Jan 2026`; undefined where there is no such program. */
export function opensslVersion(): string | undefined {
  const path = findOnPath('openssl');
  return path && outputOf(path, ['version']).split(/\n| \(Library/)[0];
}

/**
 * Bytes per second that `openssl speed` encrypts with this cipher.
 *
 * @param seconds that it takes, a whole number.
 */
export async function opensslSpeed(
  cipher: string,
  bytes: number,
  seconds: number,
  cpus: string | undefined,
): Promise<number> {
  const args = ['speed', '-evp', cipher, '-bytes', `${bytes}`, '-seconds', `${seconds}`, '-mr'];
  const child = new Child({ name: `openssl ${args.join(' ')}`, command: [findOnPath('openssl')!, ...args], cpus });
  return parseSpeed(await child.output());
}

/**
 * Bytes per second in what `openssl speed -mr` printed: the last field of its line of results, `+F:25:AES-256-GCM:4103290880.00`.
 */
export function parseSpeed(output: string): number {
  const [, speed] = /^\+F:.*:(\d+(?:\.\d+)?)\s*$/m.exec(output) ?? [];
  if (speed === undefined) throw new Error(`openssl speed printed no result: ${output.trim().slice(-200)}`);
  return Number(speed);
}
