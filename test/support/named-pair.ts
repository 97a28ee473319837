import type { ServerConfig } from '@podsocks/server/config';
import { type FakeDns, type Script, startFakeDns } from '@podsocks/shared/dns/fake-dns-fixtures';
import { expect, onTestFinished } from 'vitest';
import { type Pair, type PairOptions, startPair } from './in-process.ts';

export const silent: Script = () => undefined;

export async function startDns(script: Script): Promise<FakeDns> {
  const dns = await startFakeDns(script);
  onTestFinished(() => dns.close());
  return dns;
}

/** ss-server asks these servers, and ss-local nobody. */
export function startWith(
  servers: readonly FakeDns[],
  server: Partial<ServerConfig> = {},
  client: PairOptions['client'] = {},
) {
  const nameservers = servers.map(({ at }) => at);
  return startPair({ server: { nameservers, dnsSearch: [], dnsNdots: 1, ...server }, client });
}

/** What becomes of a connection to a name. */
export async function reach({ connect }: Pair, host: string, port: number): Promise<string> {
  const connection = await connect({ host, port });
  onTestFinished(() => connection.destroy());
  try {
    await connection.send('hello');
    return String(await connection.take(5));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

export const isSaid = (pair: Pair, text: RegExp) => expect.poll(() => pair.log.join('')).toMatch(text);
