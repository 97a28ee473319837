import { request } from 'node:http';
import { connect, type LookupFunction, type Socket, type TcpNetConnectOpts } from 'node:net';
import { domainToASCII } from 'node:url';
import { attemptTimeout, KEEP_ALIVE_DELAY_MS } from '@podsocks/shared/net/dial';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { quotedBriefly } from '@podsocks/shared/runtime/printable';
import { formatTarget } from '@podsocks/shared/wire/address';
import { SocksClient, SocksClientError } from 'socks';
import { Deadline } from '../deadline.ts';
import type { Upstream } from './upstream.ts';

export interface ThroughOptions {
  /** Milliseconds for everything. */
  readonly timeout: number;
  readonly noDelay: boolean;
  /** Of the proxy's name. */
  readonly ipv6First: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Connects to a host by a proxy, which looks up its name.
 *
 * @returns a socket that does not read, and of which nothing has been read: a server of Shadowsocks, or of TLS, is spoken to
 *   first. Whoever speaks before that is refused, so no byte gets lost.
 * @throws PodsocksError ERR_DIAL or ERR_TIMEOUT; the message says whether the proxy failed or could not reach the host.
 */
export async function connectThrough(upstream: Upstream, given: Endpoint, options: ThroughOptions): Promise<Socket> {
  const to = { host: asciiName(given.host), port: given.port };
  const deadline = new Deadline(options.timeout, options.signal);
  const { signal } = deadline;
  const proxy = `the proxy ${formatTarget(upstream)}`;
  let stage = `${proxy}: no answer`;
  let socket: Socket | undefined;
  const onAbort = () => void socket?.destroy();
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    socket = await connected(upstream, options, opened => {
      socket = opened;
    });
    stage = `${proxy} does not say whether it has reached ${formatTarget(to)}`;
    if (upstream.kind === 'socks5') await askSocks5(socket, upstream, to, proxy, options.timeout);
    else await askHttp(socket, upstream, to, proxy);
    signal.throwIfAborted();
    return socket;
  } catch (error) {
    socket?.destroy();
    if (signal.aborted && !deadline.isLate) throw new PodsocksError('ERR_CLOSED', `${formatTarget(to)}: given up`);
    if (deadline.isLate) throw new PodsocksError('ERR_TIMEOUT', `${stage} within ${options.timeout / 1000} s`);
    throw error;
  } finally {
    deadline.end();
    signal.removeEventListener('abort', onAbort);
  }
}

/** A name as it is looked up (RFC 5891): the system's resolver does that by itself, proxies do not. */
function asciiName(host: string): string {
  const name = /^[!-~]*$/.test(host) ? host : domainToASCII(host);
  if (name !== '' && name.length <= MAX_NAME_LENGTH) return name;
  throw new PodsocksError('ERR_DIAL', `${quotedBriefly(host)} is no name that a proxy could look up`);
}

/** Of SOCKS5, and of DNS. */
const MAX_NAME_LENGTH = 255;

function connected(
  { host, port }: Upstream,
  { noDelay, ipv6First, timeout }: ThroughOptions,
  opened: (socket: Socket) => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const lookup: LookupFunction = systemLookup(ipv6First);
    const socket = connect({
      ...{ host, port, noDelay, lookup },
      ...{ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      autoSelectFamilyAttemptTimeout: attemptTimeout(timeout),
    } as TcpNetConnectOpts);
    opened(socket);
    socket.once('connect', () => resolve(socket));
    // Node has a list of errors of a name with several addresses, under the code of the first.
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      const message = `the proxy ${formatTarget({ host, port })} cannot be reached (${cause.code ?? 'unknown'})`;
      reject(new PodsocksError('ERR_DIAL', `${message}; check --upstream`, { cause }));
    });
    socket.once('close', () => reject(new PodsocksError('ERR_DIAL', 'the proxy has closed the connection')));
  });
}

async function askSocks5(
  socket: Socket,
  { user, host, port }: Upstream,
  to: Endpoint,
  proxy: string,
  timeout: number,
): Promise<void> {
  try {
    await SocksClient.createConnection({
      command: 'connect',
      proxy: { host, port, type: 5, ...(user && { userId: user.name, password: user.password }) },
      destination: { host: to.host, port: to.port },
      existing_socket: socket,
      timeout: timeout + AFTER_DEADLINE_MS,
    });
  } catch (error) {
    throw new PodsocksError('ERR_DIAL', socksComplaint(error, proxy, to, user !== undefined));
  }
  // What came behind the reply is handed on as 'data' in the next turn, and then the socket flows.
  let isEarly = false;
  socket.on('data', () => {
    isEarly = true;
  });
  await new Promise(setImmediate);
  socket.pause();
  socket.removeAllListeners('data');
  if (isEarly) throw talkative(proxy);
}

/** There is a deadline already. But the library never clears its timer, which keeps 3 kB until it is over. */
const AFTER_DEADLINE_MS = 1_000;

/** The library's words begin with what has happened, and some end with the name of the reply. */
function socksComplaint(error: unknown, proxy: string, to: Endpoint, hasUser: boolean): string {
  const said = error instanceof SocksClientError ? error.message : 'unknown';
  if (/Authentication failed/i.test(said)) return `${proxy} refuses user and password; check --upstream`;
  if (/no accepted authentication type|unknown authentication|chose/i.test(said)) {
    const mend = hasUser ? 'it takes no user and password; leave them out of' : 'put user:password@ into';
    return `${proxy} refuses: no way to authenticate that both know; ${mend} --upstream`;
  }
  const reply = /rejected connection - (\w+)/.exec(said)?.[1];
  if (reply !== undefined) return `${proxy} has not reached ${formatTarget(to)}: ${REPLIES[reply] ?? reply}`;
  if (/Socket closed/i.test(said)) return `${proxy} has closed the connection; is it a SOCKS5 proxy?`;
  if (/invalid socks5|negotiation/i.test(said)) return `${proxy} does not speak SOCKS5; is it an http:// one?`;
  return `${proxy} has failed; check --upstream`;
}

/** Names of the library for RFC 1928 section 6. */
const REPLIES: Readonly<Record<string, string>> = {
  Failure: 'general failure',
  NotAllowed: 'not allowed by its rules',
  NetworkUnreachable: 'network unreachable',
  HostUnreachable: 'host unreachable, or no such name',
  ConnectionRefused: 'connection refused',
  TTLExpired: 'it does not answer',
  CommandNotSupported: 'the proxy does not know CONNECT',
  AddressNotSupported: 'the proxy does not take this type of address',
};

function askHttp(socket: Socket, { user }: Upstream, to: Endpoint, proxy: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const authority = formatTarget(to);
    const credentials = user && Buffer.from(`${user.name}:${user.password}`).toString('base64');
    const asked = request({
      createConnection: () => socket,
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...(credentials && { 'Proxy-Authorization': `Basic ${credentials}` }) },
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    const fail = (message: string) => reject(new PodsocksError('ERR_DIAL', message));
    asked.once('connect', ({ statusCode = 0, statusMessage = '' }, _socket, head) => {
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) reject(talkative(proxy));
        else resolve();
        return;
      }
      const said = `${statusCode} ${statusMessage.replace(/[^\x20-\x7e]/g, '').slice(0, 80)}`.trim();
      if (statusCode === 407) {
        const mend =
          user === undefined ? 'put user:password@ into --upstream' : 'check user and password in --upstream';
        fail(`${proxy} refuses: ${said}; ${mend}`);
      } else if (statusCode === 403 || statusCode === 405) {
        fail(`${proxy} refuses to connect to ${authority}: ${said}; many let out port 443 only: listen on that`);
      } else fail(`${proxy} has not reached ${authority}: ${said}`);
    });
    asked.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('HPE_')) fail(`${proxy} does not speak HTTP (${error.code}); is it a socks5:// one?`);
      else fail(`${proxy} has closed the connection before it answered; is it an HTTP proxy?`);
    });
    asked.end();
  });
}

const MAX_HEADER_BYTES = 16 * 1024;

function talkative(proxy: string): PodsocksError {
  return new PodsocksError('ERR_DIAL', `${proxy} speaks before it is spoken to; it cannot be used`);
}
