import { isIPv4 } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Obstacle } from './executable.ts';
import type { ProxyEndpoint } from './proxy-endpoint.ts';

/** How its own file calls the program. */
export const PROXYCHAINS = 'proxychains4';

/**
 * The configuration of proxychains-ng that sends a program's TCP connections to a SOCKS5 port, and with them the names that
 * it has looked up.
 *
 * @throws PodsocksError ERR_USAGE for what its format has no way to say.
 */
export function proxychainsConfig({ host: given, port, access }: ProxyEndpoint): string {
  const host = given === 'localhost' ? '127.0.0.1' : given;
  if (!isIPv4(host))
    throw wrong(`${PROXYCHAINS} takes proxies with an IPv4 address only, not ${host}; give ss-local -b 127.0.0.1`);
  for (const what of ['username', 'password'] as const) {
    // Blanks are what separates its words.
    if (/[\s\0]/.test(access?.[what] ?? ''))
      throw wrong(`${PROXYCHAINS} takes no ${what} with blanks in it; give another`);
  }
  const login = access === undefined ? '' : ` ${access.username} ${access.password}`;
  return `${[
    'strict_chain',
    'proxy_dns',
    'remote_dns_subnet 224',
    // ss-local answers when the target was reached, which may take its time-out for that.
    'tcp_read_time_out 30000',
    'tcp_connect_time_out 8000',
    // ss-local itself, for programs that find it by the variables.
    'localnet 127.0.0.0/255.0.0.0',
    'localnet ::1/128',
    `localnet ${host}:${port}/255.255.255.255`,
    '[ProxyList]',
    `socks5 ${host} ${port}${login}`,
  ].join('\n')}\n`;
}

/** What to tell who wants to force a program that cannot be. */
export const OBSTACLES: Readonly<Record<Obstacle, string>> = {
  static: 'is statically linked, so proxychains4 cannot see what it connects to',
  go: 'is a Go program, which makes its system calls itself, so proxychains4 cannot see what it connects to',
  setuid: 'runs with the rights of its owner, so that the system loads no library of others into it',
  protected: 'is under System Integrity Protection, so that the system loads no library of others into it',
};

export const INSTEAD = 'it has the proxy variables; else use -L or --map, or see docs/transparent.md';

export const NO_PROXYCHAINS =
  `--force: ${PROXYCHAINS} is not on PATH; install proxychains-ng (Debian: apt install proxychains4, macOS: brew install ` +
  'proxychains-ng), or leave --force out and use -L or --map';

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_USAGE', `--force: ${message}`);
}
