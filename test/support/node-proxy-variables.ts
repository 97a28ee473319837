import { describe } from 'vitest';

/** Tests of what Node.js itself does with HTTP_PROXY and the like: from 22.21 and 24.5 on. Before, the title says that they are skipped. */
export function describeWhereNodeReadsVariables(title: string, suite: () => void): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const readsVariables = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
  if (readsVariables) describe(title, suite);
  else describe.skip(`${title} [SKIPPED: Node.js ${process.versions.node} reads no proxy variables]`, suite);
}
