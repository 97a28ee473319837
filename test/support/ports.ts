import { readFile } from 'node:fs/promises';

/** What /proc calls the state of a TCP socket that listens. UDP has none. */
const LISTENING = '0A';

/** Whether a port is taken in the network namespace of a process: by a TCP listener, or by a UDP socket. Linux only. */
export async function isPortTaken(pid: number, protocol: 'tcp' | 'udp', port: number): Promise<boolean> {
  const tables = await Promise.all(
    // A process that has ended has no tables; without IPv6 there is only one.
    [protocol, `${protocol}6`].map(name => readFile(`/proc/${pid}/net/${name}`, 'ascii').catch(() => '')),
  );
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return tables
    .join('\n')
    .split('\n')
    .some(line => {
      const [, local, , state] = line.trim().split(/\s+/);
      return local?.endsWith(suffix) && (protocol === 'udp' || state === LISTENING);
    });
}
