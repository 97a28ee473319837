import { describeWith } from '../support/programs.ts';
import { podNetworkObstacle } from './pod-network.ts';

/** A suite that needs a cluster of network namespaces. Without root, or without a program, it says SKIPPED and why. */
export function describeCluster(title: string, suite: () => void): void {
  describeWith(['coredns', 'ip', 'nft', 'curl', 'dig'], `a cluster, ${title}`, suite, podNetworkObstacle);
}
