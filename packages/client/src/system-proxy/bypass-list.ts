/**
 * What is left of a list of hosts that go past the proxy, without the entries that would take the cluster's names past it.
 * `*.local` stands in that list on every new Mac, and `cluster.local` is one of those.
 */
export function withoutClusterNames(entries: readonly string[], domains: readonly string[]): readonly string[] {
  return entries.filter(entry => !domains.some(domain => covers(entry, domain)));
}

/** Whether the entry means the domain: `*.local`, `.local`, `local` and `*local` all do mean `cluster.local`. */
function covers(entry: string, domain: string): boolean {
  const suffix = entry.toLowerCase().replace(/^\*?\.?/, '');
  const name = domain.toLowerCase();
  return suffix !== '' && (name === suffix || name.endsWith(`.${suffix}`));
}
