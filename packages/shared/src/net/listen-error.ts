import { PodsocksError } from '../runtime/errors.ts';
import { formatTarget } from '../wire/address.ts';

/** ERR_LISTEN, with what to do about it, for an error of the system. */
export function listenError(
  protocol: 'TCP' | 'UDP',
  endpoint: { readonly host: string; readonly port: number },
  cause: Error,
): PodsocksError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException;
  const where = protocol === 'TCP' ? formatTarget(endpoint) : `UDP ${formatTarget(endpoint)}`;
  const show = protocol === 'TCP' ? 'ss -ltnp' : 'ss -lunp';
  // Of 127.0.0.0/8, macOS has 127.0.0.1 only.
  const alias = /^127\./.test(endpoint.host) ? `; on macOS: sudo ifconfig lo0 alias ${endpoint.host}` : '';
  const message =
    {
      EADDRINUSE: `${where} is taken by another program; choose another port, or find the program with: ${show} sport = :${endpoint.port}`,
      EACCES: `${where} is not allowed to this user; ports below 1024 need a right that podsocks does not: choose a higher one, or on Linux: sudo sysctl net.ipv4.ip_unprivileged_port_start=${endpoint.port}`,
      EADDRNOTAVAIL: `${where} is no address of this machine${alias}`,
      ENOTFOUND: `${where}: there is no such name`,
    }[code] ?? `cannot listen on ${where} (${code})`;
  return new PodsocksError('ERR_LISTEN', message, { cause });
}
