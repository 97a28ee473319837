/**
 * The whole tunnel in one process on loopback, to be tried at once: `npm start`.
 *
 *   curl ── SOCKS5 ──▶ ss-local ══ Shadowsocks, a fresh key ══▶ ss-server ──▶ a page
 */
import { randomBytes } from 'node:crypto';
import { startClient } from '@podsocks/client/client';
import { loadClient } from '@podsocks/client/config';
import { loadServer } from '@podsocks/server/config';
import { startServer } from '@podsocks/server/server';
import { DEFAULT_METHOD, methodNamed } from '@podsocks/shared/crypto/methods';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Running, reportError, runUntilSignal } from '@podsocks/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';
import { startPage } from './page.ts';

const USAGE = `Usage: npm start -- [--port <port>]

Runs ss-server and ss-local in one process on loopback, joined by a fresh random key.

  --port <port>  SOCKS5 port (default: 1080)
  -h, --help     print this help
`;
const DEFAULT_PORT = '1080';

function readPort(argv: readonly string[]): string {
  const [flag, value, ...others] = argv.flatMap(argument => argument.split('=', 2));
  if (flag === undefined) return DEFAULT_PORT;
  if (flag !== '--port' || value === undefined || others.length > 0) {
    throw new PodsocksError('ERR_USAGE', `${argv.join(' ')}: the only flag is --port <port>`);
  }
  return value;
}

async function start(port: string, log: Logger): Promise<Running> {
  const password = randomBytes(methodNamed(DEFAULT_METHOD).keyBytes).toString('base64');
  const page = await startPage();
  const { config: serverConfig } = loadServer(
    // The page is on this machine, where users may go only when it is said.
    { server: ['127.0.0.1'], serverPort: '0', password, allow: ['127.0.0.0/8', '::1'], policyDefault: 'allow' },
    {},
  );
  const server = await startServer(serverConfig, { log });
  try {
    const [address] = server.addresses;
    const tunnel = { server: [address!.host], serverPort: `${address!.port}`, password, localPort: port };
    const client = await startClient(loadClient(tunnel, {}).config, { log });
    process.stdout.write(instructions(client.addresses[0]!, page.url, { ...address!, password }));
    return {
      async drain() {
        page.close();
        await client.drain();
        await server.drain();
      },
      async close() {
        page.close();
        await client.close();
        await server.close();
      },
    };
  } catch (error) {
    page.close();
    await server.close();
    throw error;
  }
}

function instructions(socks: Endpoint, pageUrl: string, server: Endpoint & { password: string }): string {
  return `
ss-server and ss-local run in this process. In another terminal:

  curl --proxy socks5h://${formatTarget(socks)} ${pageUrl}

The same server for any other Shadowsocks client on this machine (the key is new at every start):

  ${formatSsUrl({ ...server, method: DEFAULT_METHOD, tag: 'podsocks-demo' })}

Ctrl-C stops it.
`;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('-h') || argv.includes('--help')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const log = createLogger({ level: 'info', format: 'pretty', name: 'podsocks' });
  return runUntilSignal(() => start(readPort(argv), log), { log, events: process });
}

process.exitCode = await main(process.argv.slice(2)).catch(error => {
  const wayOut = error.code === 'ERR_LISTEN' ? '; for another port: npm start -- --port <port>' : '';
  error.message += wayOut;
  return reportError('npm start', error, process.stderr);
});
