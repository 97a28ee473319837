import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeDns, reply, type Script, startFakeDns } from '@podsocks/shared/dns/fake-dns-fixtures';
import { onTestFinished } from 'vitest';
import { failureOf } from './failure.ts';
import { createResolver, type Resolver, type ResolverOptions } from './resolver.ts';

/** A resolver whose servers, files and clock are the test's. */
export interface Lab {
  readonly resolver: Resolver;
  readonly servers: readonly FakeDns[];
  /** The first of them. */
  readonly server: FakeDns;
  /** Lets the resolver's clock go on; timers do not notice. */
  pass(milliseconds: number): void;
  writeHosts(text: string): void;
  writeResolvConf(text: string): void;
}

export interface LabOptions extends Partial<ResolverOptions> {
  readonly hostsText?: string;
  readonly confText?: string;
}

/** @param scripts one for each server, in the order to be asked. */
export async function startLab(scripts: readonly Script[], options: LabOptions = {}): Promise<Lab> {
  const { hostsText = '', confText = '', ...given } = options;
  const servers = await Promise.all(scripts.map(startFakeDns));
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-resolver-'));
  const [hosts, resolvConf] = [join(folder, 'hosts'), join(folder, 'resolv.conf')];
  writeFileSync(hosts, hostsText);
  writeFileSync(resolvConf, confText);
  let time = 1_000_000;
  const resolver = createResolver({
    resolvConf,
    hosts,
    servers: servers.map(({ at }) => at),
    timeout: 10_000, // a busy machine is not a silent server
    attempts: 1,
    ipv6First: false,
    now: () => time,
    usable: () => true,
    ...given,
  });
  onTestFinished(() => {
    resolver.close();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });
  return {
    resolver,
    servers,
    server: servers[0]!,
    pass: milliseconds => {
      time += milliseconds;
    },
    writeHosts: text => writeFileSync(hosts, text),
    writeResolvConf: text => writeFileSync(resolvConf, text),
  };
}

/** The addresses as text. */
export async function addressesOf(resolver: Resolver, name: string, family?: 4 | 6): Promise<string[]> {
  return (await resolver.resolve(name, family)).map(({ address }) => address);
}

/** The failure, or the addresses where there is none. */
export function failureFor(resolver: Resolver, name: string, family?: 4 | 6): Promise<unknown> {
  return resolver.resolve(name, family).catch(failureOf);
}

export const silent: Script = () => undefined;

/** SERVFAIL. */
export const failing: Script = query => reply(query, { rcode: 2 });
