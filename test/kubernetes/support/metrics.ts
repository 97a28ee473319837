/** What ss-server exports, and with which labels. Histograms are named without their suffix. */
export const METRICS: Readonly<Record<string, readonly string[]>> = {
  podsocks_build_info: ['version', 'node', 'crypto_backend', 'method'],
  podsocks_connections: ['user'],
  podsocks_connections_opened_total: ['user'],
  podsocks_associations: ['user'],
  podsocks_associations_opened_total: ['user'],
  podsocks_bytes_total: ['user', 'protocol', 'direction'],
  podsocks_refusals_total: ['reason'],
  podsocks_authentication_failures_total: [],
  podsocks_replays_total: [],
  podsocks_dial_duration_seconds: ['le'],
  podsocks_dns_duration_seconds: ['le'],
  podsocks_dns_failures_total: ['reason'],
  podsocks_dns_queries_total: ['transport'],
  podsocks_datagrams_dropped_total: ['reason'],
  podsocks_client_connections: [],
  podsocks_strangers: [],
  podsocks_connections_limit: [],
  podsocks_users_stale: [],
  podsocks_users: [],
  podsocks_draining: [],
  nodejs_eventloop_lag_p99_seconds: [],
  process_open_fds: [],
  process_max_fds: [],
  process_cpu_seconds_total: [],
  process_resident_memory_bytes: [],
};

const HISTOGRAMS = ['podsocks_dial_duration_seconds', 'podsocks_dns_duration_seconds'];

/** The reasons that a counter has. */
export const REASONS: Readonly<Record<string, readonly string[]>> = {
  podsocks_refusals_total: 'policy name unreachable refused timeout limit expired descriptors other'.split(' '),
  podsocks_dns_failures_total: 'not-found no-address server-failed timed-out busy closed'.split(' '),
};

/** What Prometheus adds to every series of a pod. */
const TARGET_LABELS = ['job', 'namespace', 'pod'];

/** What an expression asks for that there is not: metrics, labels of them, reasons. */
export function unknownIn(expression: string): string[] {
  const bare = expression.replace(/"[^"]*"/g, '""');
  const unknown: string[] = [];
  const asked = new Set<string>(TARGET_LABELS);
  const selectors = [...bare.matchAll(/([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g)];
  if (selectors.length === 0) unknown.push(`no selector in: ${expression}`);
  for (const [, name, matchers] of selectors) {
    const labels = labelsOf(name!);
    if (!labels) unknown.push(name!);
    for (const label of labels ?? []) asked.add(label);
    for (const [, label] of matchers!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
      if (![...(labels ?? []), ...TARGET_LABELS].includes(label!)) unknown.push(`${name}{${label}}`);
    }
  }
  for (const [, list] of bare.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g)) {
    for (const label of list!.split(',').map(text => text.trim())) {
      if (label !== '' && !asked.has(label)) unknown.push(`by (${label})`);
    }
  }
  // Names without a selector behind them, which the first pass has not seen.
  for (const [name] of bare.matchAll(/\b(?:podsocks|nodejs|process)_\w+/g)) if (!labelsOf(name)) unknown.push(name);
  for (const [, name, reasons] of expression.matchAll(/(\w+_total)\{[^}]*reason=~?"([^"]*)"/g)) {
    unknown.push(...reasons!.split('|').filter(reason => !REASONS[name!]?.includes(reason)));
  }
  return unknown;
}

function labelsOf(name: string): readonly string[] | undefined {
  if (name === 'up') return [];
  const histogram = HISTOGRAMS.find(base => [`${base}_bucket`, `${base}_sum`, `${base}_count`].includes(name));
  return METRICS[histogram ?? (HISTOGRAMS.includes(name) ? '' : name)];
}
