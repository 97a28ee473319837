/** Files in place of others: where it is, and where it is to be seen. */
export type Mounts = readonly { readonly source: string; readonly target: string }[];

const SCRIPT = 'while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"';

/** A command, made to run with these mounts, which nobody else sees, and not to outlive the one who starts it. */
export function withMounts(mounts: Mounts, command: readonly [string, ...string[]]): [string, ...string[]] {
  const pairs = mounts.flatMap(({ source, target }) => [source, target]);
  return [
    ...['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private'],
    ...['sh', '-ec', SCRIPT, 'sh', ...pairs, '--'],
    ...command,
  ] as [string, ...string[]];
}
