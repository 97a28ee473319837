import type { ClientStatus, RouteStatus, ServerStatus } from '../status/client-status.ts';

/**
 * The page that a browser sees at the proxy's own address: what it is, what to copy, and how its servers are. No script, no request.
 *
 * @param authority `host:port` as the browser has it.
 */
export function indexPage(status: ClientStatus, authority: string): string {
  const { ssLocal, since, asksForPassword, udp, route, servers, connections, bytes, dns } = status;
  const facts: readonly (readonly [string, string])[] = [
    ['Routes', routes(route)],
    ['Password', asksForPassword ? 'asked for' : 'none'],
    ['UDP', udp],
    ...(dns ? [['DNS', `${dns.listen.join(', ')} for ${dns.zones.join(', ')}`] as const] : []),
    ['Connections', `${connections.open} open, ${connections.total} so far, ${connections.failed} failed`],
    ['Bytes', `${bytes.up} up, ${bytes.down} down, since ${since}`],
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ss-local</title><style>${STYLE}</style>
<h1>ss-local <small>${escaped(ssLocal.version)}</small></h1>
<p>This port is a proxy: SOCKS5, SOCKS4a and HTTP. Tell it to a program by one of these:</p>
${copyable([`socks5h://${authority}`, `http://${authority}`, `http://${authority}/proxy.pac`])}
<h2>Servers</h2>
<table><tr><th>server<th>method<th>health<th>round trip<th>connections<th>failed</tr>
${servers.map(serverRow).join('\n')}
</table>
<h2>Now</h2>
<table>${facts.map(([name, value]) => `<tr><th>${name}<td>${escaped(value)}</tr>`).join('\n')}</table>
<p><a href="/v1/status">the same as JSON</a></p>
</html>
`;
}

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre,td{font-family:ui-monospace,monospace}pre{background:#8882;padding:.5rem 1rem;overflow-x:auto}
table{border-collapse:collapse}th,td{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top}.unhealthy{color:#c33}`;

function copyable(lines: readonly string[]): string {
  return `<pre>${lines.map(escaped).join('\n')}</pre>`;
}

function serverRow(server: ServerStatus): string {
  const { name, address, method, health, reason, active, roundTrip, connections, total, failed } = server;
  const cells = [
    `${name === undefined ? '' : `${name} `}${address}${active ? ' (in use)' : ''}`,
    method,
    reason === undefined ? health : `${health}: ${reason}`,
    roundTrip === undefined ? '' : `${Math.round(roundTrip)} ms`,
    `${connections} of ${total}`,
    String(failed),
  ];
  return `<tr class="${escaped(health)}">${cells.map(cell => `<td>${escaped(cell)}`).join('')}</tr>`;
}

function routes({ mode, namespace, domains, networks }: RouteStatus): string {
  if (mode === 'all') return 'everything goes through the tunnel';
  const through = [...domains, ...networks].join(', ') || 'nothing by itself';
  return `${mode}: ${through}${namespace === undefined ? '' : `; single names are of namespace ${namespace}`}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character]!);
}
