import { freePort } from '../free-port.ts';
import { startProgram } from '../program-run.ts';
import { pathOf } from '../programs.ts';

export const ZONE = 'podsocks.test';

/** What it knows, as `dig +short` prints it. */
export const RECORDS = [
  { name: `api.${ZONE}`, type: 'A', answer: '10.96.0.1' },
  { name: `api.${ZONE}`, type: 'AAAA', answer: 'fd00:96::1' },
  { name: `_https._tcp.${ZONE}`, type: 'SRV', answer: `1 2 6443 api.${ZONE}.` },
  // Longer than the 512 bytes that DNS began with, and not longer than those that are sent without being cut.
  { name: `long.${ZONE}`, type: 'TXT', answer: ['a', 'b', 'c', 'd'].map(text => `"${text.repeat(250)}"`).join(' ') },
] as const;

/** A name for what the tests have on loopback. */
export const LOOPBACK_NAME = `web.${ZONE}`;

/** How to start a dnsmasq that knows RECORDS and LOOPBACK_NAME, and asks nobody. */
export function nameServerCommand(address: string, port: number): [string, ...string[]] {
  const [a, aaaa, srv, txt] = RECORDS;
  return [
    pathOf('dnsmasq'),
    ...['--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file', '--log-facility=-'],
    ...['--no-resolv', '--no-hosts', `--local=/${ZONE}/`, '--edns-packet-max=1232'],
    ...['--bind-interfaces', `--listen-address=${address}`, `--port=${port}`],
    `--host-record=${a.name},${a.answer},${aaaa.answer}`,
    `--host-record=${LOOPBACK_NAME},127.0.0.1`,
    // In dnsmasq's order: target, port, priority, weight.
    `--srv-host=${srv.name},api.${ZONE},6443,1,2`,
    `--txt-record=${txt.name},${txt.answer.replaceAll('"', '').replaceAll(' ', ',')}`,
  ];
}

/** On 127.0.0.1, UDP and TCP. */
export async function startNameServer(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const port = await freePort();
  const run = await startProgram('dnsmasq', nameServerCommand('127.0.0.1', port), port);
  return { port, close: run.stop };
}
