import { describeWith, type Program } from '../support/programs.ts';
import { podNetworkObstacle } from './pod-network.ts';

/**
 * A suite that needs a cluster of network namespaces, and perhaps other programs, or something else that `obstacle` says is not
 * to be had. Without root, or where one is missing, it says SKIPPED and why.
 */
export function describeCluster(
  title: string,
  suite: () => void,
  others: readonly Program[] = [],
  obstacle: () => string | undefined = () => undefined,
): void {
  const programs = ['coredns', 'ip', 'nft', 'curl', 'dig', ...others] as const;
  describeWith(programs, `a cluster, ${title}`, suite, () => podNetworkObstacle() ?? obstacle());
}
