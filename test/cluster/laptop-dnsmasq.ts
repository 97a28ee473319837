import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listensWithin } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import type { Cluster } from './cluster.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { type Host, hostIn } from './pod-network.ts';

const [{ beyond: PUBLIC4 }, { beyond: PUBLIC6 }] = INTERNET.networks;

/** A laptop that asks a dnsmasq of its own for all names, as Debian sets it up. */
export interface DnsmasqLaptop extends Host {
  /** Its files of /etc, but those that are the machine's: what they hold by their path. */
  etc(): Promise<Readonly<Record<string, string>>>;
}

const ETC = {
  'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:5 attempts:1\n',
  hosts: '127.0.0.1 localhost\n',
  'nsswitch.conf': 'hosts: files dns\n',
  'dnsmasq.conf': [
    ...['conf-dir=/etc/dnsmasq.d', 'no-resolv', `server=${PUBLIC4}`, 'user=root'],
    ...['listen-address=127.0.0.1', 'bind-interfaces'],
    '',
  ].join('\n'),
  // What people set against questions that are nobody's business.
  'dnsmasq.d/people.conf': 'domain-needed\nbogus-priv\n',
};

/** Starts it again each time that it ends, so that it need only be ended. */
const SERVICE =
  'trap \'kill "$pid"; exit\' TERM; while :; do setpriv --pdeathsig KILL "$@" & pid=$!; wait "$pid"; done';

/** What `service dnsmasq restart` is here. */
const RESTART = (pidFile: string) => `#!/bin/sh
[ "$*" = "dnsmasq restart" ] || exit 64
before=$(cat ${pidFile})
kill "$before" || exit
while now=$(cat ${pidFile} 2>&1); [ "$now" = "$before" ] || ! kill -0 "$now" 2>/dev/null; do sleep 0.05; done
`;

/** @returns the laptop of a cluster, with files and programs by which dnsmasq answers it. */
export async function startDnsmasqLaptop({ laptop, path, start }: Cluster): Promise<DnsmasqLaptop> {
  const [etc, machine, programs, run] = ['etc', 'etc-of-machine', 'programs', 'run'].map(path) as [
    string,
    string,
    string,
    string,
  ];
  for (const folder of [etc, machine, programs, run, join(etc, 'dnsmasq.d')]) await mkdir(folder);
  for (const [name, text] of Object.entries(ETC)) await writeFile(join(etc, name), text);
  // A file can be made in a folder of its own only, and not on top of one that the machine may not have.
  const own = new Set(Object.keys(ETC).map(name => name.split('/')[0]));
  for (const name of await readdir('/etc')) if (!own.has(name)) await symlink(join(machine, name), join(etc, name));

  const pidFile = path('dnsmasq.pid');
  await writeFile(join(programs, 'service'), RESTART(pidFile), { mode: 0o755 });
  const host = hostIn(laptop.namespace, [
    { source: '/etc', target: machine },
    { source: etc, target: '/etc' },
    // Else a machine with systemd would be told to restart its own.
    { source: run, target: '/run' },
  ]);
  const dnsmasq = [pathOf('dnsmasq'), '--keep-in-foreground', `--pid-file=${pidFile}`, '--log-facility=-'];
  const withService = ['env', `PATH=${programs}:${process.env.PATH}`] as const;
  await start(
    host,
    'dnsmasq of the laptop',
    ['sh', '-c', SERVICE, 'sh', ...dnsmasq],
    listensWithin(53, ['udp', 'tcp']),
  );
  return {
    ...host,
    run: command => host.run([...withService, ...command]),
    etc: () => filesIn(etc),
  };
}

async function filesIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const files = paths.map(async path => [path.slice(folder.length), await readFile(path, 'utf8')] as const);
  return Object.fromEntries(await Promise.all(files));
}

/** The DNS that everybody has. Its log says what it was asked. */
export function startPublicDns({ start }: Cluster, internet: Host) {
  const command = [
    pathOf('dnsmasq'),
    ...['--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file', '--log-facility=-'],
    ...['--no-resolv', '--no-hosts', '--log-queries', '--bind-interfaces', `--listen-address=${PUBLIC4},${PUBLIC6}`],
    // It knows no other names.
    ...['--local=//', '--local=/local/', '--local=/arpa/', '--local=/example/'],
    `--host-record=${PUBLIC_NAME},${PUBLIC4},${PUBLIC6}`,
  ] as const;
  return start(internet, 'public DNS', [...command], listensWithin(53, ['udp', 'tcp']));
}
