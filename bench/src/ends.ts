import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EndChoice } from './contestants.ts';
import type { End, Implementation } from './implementations.ts';
import { LOOPBACK } from './ports.ts';

/** What both ends of a pair have to agree on, and where the client offers SOCKS5. */
export interface PairSettings {
  readonly method: string;
  readonly password: string;
  readonly serverPort: number;
  readonly socksPort: number;
  /** Whether datagrams are relayed, too. */
  readonly udp: boolean;
}

/** What an end is started with, after the program itself. */
export interface Invocation {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Writes a configuration file that nobody else can read, and tells its path. */
type WriteConfig = (config: object) => string;

const INVOCATIONS: Readonly<
  Record<Implementation, (end: End, settings: PairSettings, writeConfig: WriteConfig) => Invocation>
> = {
  podsocks: (end, { method, password, serverPort, socksPort, udp }) => ({
    args: [
      ...['-s', LOOPBACK, '-p', `${serverPort}`, '-m', method, '--log-level', 'warn'],
      // As all others reply: before the target was dialled.
      ...(end === 'client'
        ? ['-l', `${socksPort}`, '--connect-reply', 'early', '--route', 'all']
        : ['--allow', '127.0.0.0/8']),
      ...(udp ? ['-u'] : []),
    ],
    env: { SS_PASSWORD: password },
  }),

  'shadowsocks-libev': (end, settings, writeConfig) => ({
    args: [
      '-c',
      writeConfig({
        ...endpoint(settings),
        ...(end === 'client' && socks(settings)),
        ...mode(settings),
        no_delay: true,
      }),
    ],
  }),

  'shadowsocks-rust': (end, settings, writeConfig) => ({
    args: [
      '-c',
      writeConfig({
        servers: [endpoint(settings)],
        ...(end === 'client' && socks(settings)),
        ...mode(settings),
        no_delay: true,
      }),
    ],
  }),

  // Both ends relay datagrams unless they are told not to.
  'sing-box': (end, { method, password, serverPort, socksPort }, writeConfig) => {
    const config =
      end === 'server'
        ? {
            inbounds: [{ type: 'shadowsocks', listen: LOOPBACK, listen_port: serverPort, method, password }],
            outbounds: [{ type: 'direct' }],
          }
        : {
            inbounds: [{ type: 'socks', listen: LOOPBACK, listen_port: socksPort }],
            outbounds: [{ type: 'shadowsocks', server: LOOPBACK, server_port: serverPort, method, password }],
          };
    return { args: ['run', '-c', writeConfig({ log: { level: 'error' }, ...config })] };
  },
};

/** How to start an end of a pair. Configuration files go into the directory, which has to be private. */
export function invocationOf(choice: EndChoice, end: End, settings: PairSettings, directory: string): Invocation {
  const writeConfig = (config: object) => {
    const path = join(directory, `${end}-${settings.serverPort}.json`);
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  };
  const { args, env } = INVOCATIONS[choice.implementation](end, settings, writeConfig);
  return { args: [...args, ...(choice.args ?? [])], ...(env && { env }) };
}

/** A new password that the method accepts: of SIP022 it is a key in base64, which SIP004 takes as text. */
export function passwordFor(method: string): string {
  return randomBytes(method === '2022-blake3-aes-128-gcm' ? 16 : 32).toString('base64');
}

function endpoint({ method, password, serverPort }: PairSettings) {
  return { server: LOOPBACK, server_port: serverPort, method, password };
}

function mode({ udp }: PairSettings) {
  return udp && { mode: 'tcp_and_udp' };
}

function socks({ socksPort }: PairSettings) {
  return { local_address: LOOPBACK, local_port: socksPort };
}
