import { describe } from 'vitest';
import { type ExecutableQuery, findExecutable } from '../../bench/src/executables.ts';

/** Every program of others that a test may need, and how to tell it from its namesakes. */
const PROGRAMS = {
  'shadowsocks-libev ss-server': libev('ss-server'),
  'shadowsocks-libev ss-local': libev('ss-local'),
  'shadowsocks-rust ssserver': rust('ssserver'),
  'shadowsocks-rust sslocal': rust('sslocal'),
  'sing-box': {
    name: 'sing-box',
    directoryVariable: 'PODSOCKS_SING_BOX_DIR',
    proof: { args: ['version'], text: 'sing-box version' },
  },
  tun2socks: {
    name: 'tun2socks',
    directoryVariable: 'PODSOCKS_TUN2SOCKS_DIR',
    proof: { args: ['--version'], text: 'tun2socks-' },
  },
  curl: { name: 'curl', proof: { args: ['--version'], text: 'libcurl' } },
  // With the compiler, so that it runs a source file.
  java: { name: 'java', proof: { args: ['--list-modules'], text: 'jdk.compiler' } },
  nslookup: { name: 'nslookup', proof: { args: ['-version'], text: 'nslookup' } },
  getent: { name: 'getent', proof: { args: ['--version'], text: 'getent' } },
  dig: { name: 'dig', proof: { args: ['-v'], text: 'DiG' } },
  dnsmasq: { name: 'dnsmasq', proof: { args: ['--version'], text: 'Dnsmasq version' } },
  coredns: {
    name: 'coredns',
    directoryVariable: 'PODSOCKS_COREDNS_DIR',
    proof: { args: ['-version'], text: 'CoreDNS-' },
  },
  nft: { name: 'nft', proof: { args: ['--version'], text: 'nftables' } },
  haproxy: { name: 'haproxy', proof: { args: ['-v'], text: 'HAProxy version' } },
  kustomize: {
    name: 'kustomize',
    directoryVariable: 'PODSOCKS_KUSTOMIZE_DIR',
    proof: { args: ['version'], text: '5.' },
  },
  promtool: { name: 'promtool', proof: { args: ['--version'], text: 'promtool' } },
  ip: { name: 'ip', proof: { args: ['-V'], text: 'iproute2' } },
  // Of several Pythons the one that has it.
  'python3 with PySocks': {
    name: 'python3',
    proof: { args: ['-c', 'import socks; print("PySocks", socks.__version__)'], text: 'PySocks 1.' },
  },
  'obfs-local': { name: 'obfs-local', proof: { args: ['-h'], text: 'simple-obfs' } },
  'obfs-server': { name: 'obfs-server', proof: { args: ['-h'], text: 'simple-obfs' } },
  'ss-v2ray-plugin': { name: 'ss-v2ray-plugin', proof: { args: ['-version'], text: 'v2ray-plugin' } },
  gsettings: { name: 'gsettings', proof: { args: ['list-schemas'], text: 'org.gnome.system.proxy' } },
  'dbus-run-session': { name: 'dbus-run-session', proof: { args: ['--version'], text: 'dbus-run-session' } },
  kwriteconfig5: { name: 'kwriteconfig5', proof: { args: ['--help'], text: '--delete' } },
  kreadconfig5: { name: 'kreadconfig5', proof: { args: ['--help'], text: '--default' } },
  redsocks: { name: 'redsocks', proof: { args: ['-v'], text: 'redsocks/' } },
  chromium: { name: 'chromium', proof: { args: ['--version'], text: 'Chromium' } },
  proxychains4: { name: 'proxychains4', proof: { args: [], text: 'proxychains' } },
  'redis-server': { name: 'redis-server', proof: { args: ['--version'], text: 'Redis server v=' } },
  'redis-cli': { name: 'redis-cli', proof: { args: ['--version'], text: 'redis-cli ' } },
  'python3 with redis and PySocks': {
    name: 'python3',
    proof: { args: ['-c', 'import redis.cluster, socks; print("PySocks", socks.__version__)'], text: 'PySocks 1.' },
  },
} satisfies Record<string, ExecutableQuery>;

export type Program = keyof typeof PROGRAMS;

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

const found = new Map<Program, string | undefined>();

function locate(program: Program): string | undefined {
  if (!found.has(program)) found.set(program, findExecutable(PROGRAMS[program]));
  return found.get(program);
}

export function pathOf(program: Program): string {
  const path = locate(program);
  if (path === undefined) throw new Error(`${program} is not installed`);
  return path;
}

/**
 * A suite that needs programs of others, and perhaps something else that `obstacle` says is not to be had. Where one is
 * missing its tests are skipped and the title says why; with PODSOCKS_REQUIRE_PEERS=1 they run, and so fail.
 */
export function describeWith(
  programs: readonly Program[],
  title: string,
  suite: () => void,
  obstacle: () => string | undefined = () => undefined,
): void {
  const missing = [...new Set(programs)].filter(program => locate(program) === undefined);
  const why = missing.length > 0 ? `not installed: ${missing.join(', ')}` : obstacle();
  if (why === undefined || process.env.PODSOCKS_REQUIRE_PEERS === '1') describe(title, suite);
  else describe.skip(`${title} [SKIPPED: ${why}]`, suite);
}
