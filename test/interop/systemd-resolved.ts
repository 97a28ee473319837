import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, DnsSystem, Ended } from '@podsocks/client/dns-install/system';
import { findExecutable } from '../../bench/src/executables.ts';
import { withMounts } from '../cluster/mounts.ts';
import { createNamespace, type Namespace, namespaceObstacle } from '../support/network-namespaces.ts';
import { type ProgramRun, startProgram } from '../support/program-run.ts';
import { pathOf } from '../support/programs.ts';

/** The DNS server of the network that this machine is in; it says ELSEWHERE to everything. */
const NETWORK = '192.0.2.53';
export const ELSEWHERE = '203.0.113.1';

/** What is said where ss-local's DNS server would be. */
export const IN_CLUSTER = {
  name: 'web.default.svc.cluster.local',
  address: '10.96.0.80',
  srv: '_http._tcp.web.default.svc.cluster.local',
  txt: 'dns-version.cluster.local',
};

/** Not that of any program here. */
const USER_ID = 61_053;
const UNIT = '/etc/systemd/system/podsocks-dns.service';

const proof = { args: ['--version'], text: 'systemd 2' };
const DAEMON = '/lib/systemd/systemd-resolved';

function programs() {
  const query = { directoryVariable: 'PODSOCKS_RESOLVED_DIR', proof };
  return {
    resolved: findExecutable({ name: 'systemd-resolved', ...query }) ?? (existsSync(DAEMON) ? DAEMON : undefined),
    resolvectl: findExecutable({ name: 'resolvectl', ...query }),
    dbus: findExecutable({ name: 'dbus-daemon', proof: { args: ['--version'], text: 'D-Bus' } }),
  };
}

export function resolvedObstacle(): string | undefined {
  const missing = Object.entries(programs()).filter(([, path]) => path === undefined);
  if (missing.length > 0) return `not installed: ${missing.map(([name]) => name).join(', ')}`;
  return namespaceObstacle();
}

/** A machine with systemd-resolved, in a network namespace. Its files are in a folder, and it has no systemd. */
export interface ResolvedMachine {
  readonly system: DnsSystem;
  /** Runs something there and returns what it prints, and its exit code. */
  run(command: Command): Promise<Ended>;
  /** What was asked at ss-local's place, and at the network's server, since the last call: `type name`, each once. */
  asked(): { readonly local: string[]; readonly network: string[] };
  close(): Promise<void>;
}

/** @param localPort where ss-local's DNS server would be. */
export async function startResolvedMachine(localPort: number): Promise<ResolvedMachine> {
  const root = mkdtempSync(join(tmpdir(), 'podsocks-resolved-'));
  chmodSync(root, 0o755); // for the user that systemd-resolved becomes
  const namespace = createNamespace('resolved');
  const started: ProgramRun[] = [];
  const close = async () => {
    for (const program of started.reverse()) await program.stop();
    namespace.remove();
    rmSync(root, { recursive: true });
  };
  try {
    const run = machineRun(root, namespace);
    await startPrograms(root, namespace, localPort, started, run);
    const asked = (log: string) => {
      const path = join(root, log);
      const questions = [...readFileSync(path, 'utf8').matchAll(/query\[(\w+)\] (\S+) from/g)];
      truncateSync(path);
      return [...new Set(questions.map(([, type, name]) => `${type} ${name}`))].sort();
    };
    return {
      system: { platform: 'linux', root, isRoot: async () => true, run: withoutSystemd(root, run) },
      run,
      asked: () => ({ local: asked(LOCAL_LOG), network: asked(NETWORK_LOG) }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const LOCAL_LOG = 'local.log';
const NETWORK_LOG = 'network.log';

type Run = (command: Command) => Promise<Ended>;

/** Runs commands in the namespace, with the machine's bus, users and resolv.conf in place of ours. */
function machineRun(root: string, namespace: Namespace): Run {
  const within = placed(root, namespace);
  return command =>
    new Promise(resolve => {
      const [program, ...args] = within(command);
      execFile(program, args, { encoding: 'utf8', timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr });
      });
    });
}

function placed(root: string, namespace: Namespace): (command: Command) => [string, ...string[]] {
  const { resolvectl } = programs();
  const environment = ['env', `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${root}/bus`, 'SYSTEMD_LOG_TARGET=console'] as const;
  const mounts = ['/run', '/etc/passwd', '/etc/group', '/etc/resolv.conf'].map(target => ({
    source: `${root}/machine${target}`,
    target,
  }));
  return ([program, ...args]) => {
    const command: Command = [program === 'resolvectl' ? resolvectl! : program, ...args];
    return namespace.within(withMounts(mounts, [...environment, ...command]));
  };
}

async function startPrograms(
  root: string,
  namespace: Namespace,
  localPort: number,
  started: ProgramRun[],
  run: Run,
): Promise<void> {
  writeMachine(root);
  namespace.ip('link', 'set', 'lo', 'up');
  namespace.ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
  // An IPv6 address of its own would count for systemd-resolved a second or two later, once it is found to be unique.
  for (const link of ['up0', 'up1']) namespace.ip('link', 'set', link, 'addrgenmode', 'none');
  namespace.ip('link', 'set', 'up1', 'up');
  namespace.ip('address', 'add', `${NETWORK}/24`, 'dev', 'up0');
  namespace.ip('link', 'set', 'up0', 'up');

  const { resolved, dbus } = programs();
  const within = placed(root, namespace);
  const start = async (title: string, command: Command, ready: () => Promise<boolean>) => {
    started.push(await startProgram(title, within(command), ready));
  };
  const startDnsmasq = (log: string, address: string, port: number, records: readonly string[]) => {
    const own = [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--user=root',
      '--pid-file',
      '--no-resolv',
      '--no-hosts',
    ];
    const listen = ['--bind-interfaces', `--listen-address=${address}`, `--port=${port}`];
    const logging = ['--log-queries', `--log-facility=${root}/${log}`];
    const command: Command = [pathOf('dnsmasq'), ...own, ...listen, ...logging, ...records];
    // It begins its log once it listens.
    return start(`dnsmasq at ${address}`, command, async () => existsSync(join(root, log)));
  };

  const bus: Command = [dbus!, `--config-file=${root}/bus.conf`, '--nofork', '--nopidfile'];
  await start('dbus-daemon', bus, async () => existsSync(join(root, 'bus')));
  await start('systemd-resolved', [resolved!], async () => (await run(['resolvectl', 'status'])).code === 0);
  const { name, address, srv, txt } = IN_CLUSTER;
  await startDnsmasq(LOCAL_LOG, '127.0.0.1', localPort, [
    `--host-record=${name},${address}`,
    `--srv-host=${srv},${name},80,0,100`,
    `--txt-record=${txt},1.1.0`,
    '--local=/cluster.local/in-addr.arpa/',
  ]);
  await startDnsmasq(NETWORK_LOG, NETWORK, 53, [`--address=/#/${ELSEWHERE}`, '--local=/in-addr.arpa/']);
  await run(['resolvectl', 'dns', 'up0', NETWORK]);
}

function writeMachine(root: string): void {
  writeFileSync(join(root, 'bus.conf'), BUS.replace('PATH', join(root, 'bus')));
  for (const folder of ['machine/etc', 'machine/run/systemd/resolve', 'etc/systemd/system']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  chownSync(join(root, 'machine/run/systemd/resolve'), USER_ID, USER_ID);
  const user = `systemd-resolve:x:${USER_ID}`;
  writeFileSync(join(root, 'machine/etc/passwd'), `root:x:0:0::/:/bin/sh\n${user}:${USER_ID}::/:/bin/false\n`);
  writeFileSync(join(root, 'machine/etc/group'), `root:x:0:\n${user}:\n`);
  for (const folder of ['machine/etc', 'etc'])
    writeFileSync(join(root, folder, 'resolv.conf'), 'nameserver 127.0.0.53\n');
}

/** Everybody on it is root, so it needs no rules. */
const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=PATH</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/> <allow receive_sender="*"/> <allow own="*"/> <allow user="*"/>
  </policy>
</busconfig>
`;

/** What systemctl would do with the unit, as far as it is needed: its commands are run as they are written. */
function withoutSystemd(root: string, run: Run): Run {
  let stopCommands: Command[] = [];
  const commands = (key: string) => {
    const lines = readFileSync(join(root, UNIT), 'utf8').matchAll(new RegExp(`^${key}=-?(.*)$`, 'gm'));
    return Array.from(lines, ([, line]) => line!.split(' ') as [string, ...string[]]);
  };
  const stop = async () => {
    for (const command of stopCommands) await run(command);
    stopCommands = [];
  };
  return async command => {
    if (command[0] !== 'systemctl') return run(command);
    switch (command[1]) {
      case 'restart':
        await stop();
        stopCommands = commands('ExecStopPost');
        for (const each of commands('ExecStart')) {
          const ended = await run(isDummy(each) && !hasDummies() ? vethFor(each) : each);
          if (ended.code === 0) continue;
          await stop();
          return ended;
        }
        break;
      case 'stop':
      case 'disable':
        await stop();
    }
    return { code: 0, stdout: '', stderr: '' };
  };
}

const isDummy = (command: Command): boolean => command.join(' ').endsWith(' type dummy');

/** Kernels of virtual machines for tests may have no dummy links; one end of a pair has as little to do with the network. */
function vethFor([program, ...args]: Command): Command {
  const add = `${program} ${args.slice(0, -1).join(' ')} veth peer name podsocks1`;
  return ['sh', '-ec', `${add}; ip link set podsocks1 up`];
}

function hasDummies(): boolean {
  return spawnSync('unshare', ['--net', 'ip', 'link', 'add', 'probe', 'type', 'dummy']).status === 0;
}
