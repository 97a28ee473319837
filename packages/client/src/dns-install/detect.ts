import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { BackendName } from './plan.ts';
import type { DnsSystem } from './system.ts';

/**
 * Finds out what this machine resolves names with: on Linux by the servers of /etc/resolv.conf, which is where programs
 * ask.
 *
 * @throws PodsocksError ERR_USAGE that says what was found instead, and what to do.
 */
export function detectBackend(system: DnsSystem): BackendName {
  const { platform } = system;
  if (platform === 'darwin') return 'resolver';
  if (platform === 'win32') return 'nrpt';
  if (platform !== 'linux') throw unknown(`${platform} has no way for this that ss-local knows`);

  const servers = nameservers(system);
  if (servers.some(server => /^127\.0\.0\.5[34]$/.test(server))) return 'systemd-resolved';
  if (servers.some(server => /^(127\.|::1$)/.test(server))) {
    if (usesDnsmasq(system)) return 'networkmanager';
    if (existsSync(`${system.root}/etc/dnsmasq.d`)) return 'dnsmasq';
    throw unknown(
      `/etc/resolv.conf has ${servers.join(', ')}, and neither NetworkManager has dns=dnsmasq, nor is there /etc/dnsmasq.d; ` +
        'say what it is with --backend, or send these zones there yourself: ss-local dns print --backend dnsmasq shows how',
    );
  }
  const found = servers.length > 0 ? `has ${servers.join(', ')}` : 'has no server';
  throw unknown(
    `/etc/resolv.conf ${found}, and so all names go there; only a resolver on this machine can send some elsewhere: ` +
      'set up systemd-resolved or dnsmasq first, or say --backend if there is one that is asked in another way',
  );
}

function nameservers(system: DnsSystem): string[] {
  const text = read(`${system.root}/etc/resolv.conf`);
  return [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, server]) => server!);
}

/** The section [main] of NetworkManager.conf(5); of several files the last one counts. */
function usesDnsmasq(system: DnsSystem): boolean {
  const folder = `${system.root}/etc/NetworkManager`;
  const pieces = list(`${folder}/conf.d`).filter(name => name.endsWith('.conf'));
  const texts = [`${folder}/NetworkManager.conf`, ...pieces.map(name => `${folder}/conf.d/${name}`)].map(read);
  const values = texts.flatMap(text => [...text.matchAll(/^dns=(\S*)/gm)].map(([, value]) => value));
  return values.at(-1) === 'dnsmasq';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function unknown(message: string): PodsocksError {
  return new PodsocksError('ERR_USAGE', `cannot tell what resolves names here: ${message}`);
}
