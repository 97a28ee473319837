import { fileURLToPath } from 'node:url';
import { type ExecutableQuery, findExecutable } from './executables.ts';

export type Implementation = 'podsocks' | 'shadowsocks-libev' | 'shadowsocks-rust' | 'sing-box';
export type End = 'server' | 'client';

/** How to start each end of an implementation, before its arguments. */
export type Programs = Readonly<Record<End, readonly [string, ...string[]]>>;

/** Where an implementation is on this machine, or what to do about it that it is not. */
export type Installation = { readonly programs: Programs } | { readonly missing: string; readonly install: string };

interface Peer {
  readonly server: ExecutableQuery;
  readonly client: ExecutableQuery;
  readonly install: string;
}

const SING_BOX: ExecutableQuery = {
  name: 'sing-box',
  directoryVariable: 'PODSOCKS_SINGBOX_DIR',
  home: 'go/bin',
  proof: { args: ['version'], text: 'sing-box version' },
};

const PEERS: Readonly<Record<Exclude<Implementation, 'podsocks'>, Peer>> = {
  'shadowsocks-libev': {
    server: libev('ss-server'),
    client: libev('ss-local'),
    install: 'apt-get install shadowsocks-libev',
  },
  'shadowsocks-rust': {
    server: rust('ssserver'),
    client: rust('sslocal'),
    install:
      'cargo install shadowsocks-rust --no-default-features' +
      ' --features logging,local,server,multi-threaded,aead-cipher-extra,aead-cipher-2022',
  },
  'sing-box': {
    server: SING_BOX,
    client: SING_BOX,
    install: 'go install github.com/sagernet/sing-box/cmd/sing-box@v1.14.1',
  },
};

function libev(name: string): ExecutableQuery {
  return { name, directoryVariable: 'PODSOCKS_LIBEV_DIR', proof: { args: ['-h'], text: 'shadowsocks-libev' } };
}

function rust(name: string): ExecutableQuery {
  return {
    name,
    directoryVariable: 'PODSOCKS_SSRUST_DIR',
    home: '.cargo/bin',
    proof: { args: ['--version'], text: 'shadowsocks' },
  };
}

export const IMPLEMENTATIONS: readonly Implementation[] = [
  'podsocks',
  ...(Object.keys(PEERS) as (keyof typeof PEERS)[]),
];

/** Looks for an implementation on this machine; podsocks is that of this checkout. */
export function findImplementation(implementation: Implementation): Installation {
  if (implementation === 'podsocks')
    return { programs: { server: own('server/bin/ss-server.cjs'), client: own('client/bin/ss-local.cjs') } };
  const peer = PEERS[implementation];
  const [server, client] = [findExecutable(peer.server), findExecutable(peer.client)];
  if (server && client) return { programs: { server: [server], client: [client] } };
  const missing = [...new Set([server ? [] : peer.server.name, client ? [] : peer.client.name].flat())];
  return { missing: `${implementation} (${missing.join(', ')})`, install: peer.install };
}

function own(script: string): [string, string] {
  return [process.execPath, fileURLToPath(new URL(`../../packages/${script}`, import.meta.url))];
}
