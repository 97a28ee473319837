import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeAbsence } from '@podsocks/shared/crypto/aead-native';
import { opensslVersion } from './cipher/openssl-speed.ts';
import { findOnPath, outputOf } from './executables.ts';
import type { Implementation, Programs } from './implementations.ts';

/** What the numbers depend on beside the programs. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cpus: number;
  /** Of the processor's instructions, those that AES-GCM is made of. */
  readonly instructions: readonly string[];
  readonly memoryGib: number;
  /** Processes that ran or wanted to, on average of the minute before. */
  readonly loadBefore: number;
  readonly kernel: string;
  readonly node: string;
  /** The OpenSSL inside of Node. */
  readonly nodeOpenssl: string;
  /** That of the `openssl` on PATH. */
  readonly openssl: string;
}

/** What is known of an implementation that was measured. */
export interface PeerFacts {
  readonly implementation: Implementation;
  readonly version: string;
  readonly paths: readonly string[];
  readonly built: string;
}

const AES_INSTRUCTIONS = ['aes', 'pclmulqdq', 'vaes', 'vpclmulqdq', 'avx2', 'avx512f', 'pmull'];

export function machineFacts(): Machine {
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const flags = new Set((/^(?:flags|Features)\s*: (.*)$/m.exec(info)?.[1] ?? '').split(' '));
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: availableParallelism(),
    instructions: AES_INSTRUCTIONS.filter(name => flags.has(name)),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0]!,
    kernel: release(),
    node: process.version,
    nodeOpenssl: process.versions.openssl,
    openssl: opensslVersion() ?? 'none',
  };
}

/** Version, path and origin, as far as they can be found out. */
export function peerFacts(implementation: Implementation, programs: Programs): PeerFacts {
  const paths = [...new Set([programs.server.at(-1)!, programs.client.at(-1)!])];
  const path = paths[0]!;
  switch (implementation) {
    case 'podsocks':
      return { implementation, version: ownVersion(), paths, built: ownCommit(dirname(path)) };
    case 'shadowsocks-libev':
      return {
        implementation,
        version: match(outputOf(path, ['-h']), /shadowsocks-libev (\S+)/),
        paths,
        built: origin(path, libraries(path)),
      };
    case 'shadowsocks-rust':
      return {
        implementation,
        version: match(outputOf(path, ['--version']), /shadowsocks (\S+)/),
        paths,
        built: origin(path, rustCompiler(path)),
      };
    case 'sing-box': {
      const output = outputOf(path, ['version']);
      const rest = output
        .trim()
        .split('\n')
        .slice(1)
        .filter(line => line !== '');
      return {
        implementation,
        version: match(output, /version (\S+)/),
        paths,
        built: origin(path, [...rest, ...goBuild(path)]),
      };
    }
  }
}

function match(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? 'unknown';
}

/** The package that a program is from, or that it is from none, and what else is known. */
function origin(path: string, details: readonly string[]): string {
  const name = match(outputOf('dpkg', ['-S', path]), /^([^:\s]+)(?::\w+)?: \//);
  const version = name === 'unknown' ? '' : match(outputOf('dpkg-query', ['-W', name]), /\t(\S+)/);
  const from = version === '' ? 'of no Debian package' : `Debian package ${name} ${version}`;
  return [from, ...details].join('; ');
}

/** What does the cryptography of a program that is linked dynamically. */
function libraries(path: string): string[] {
  return [...outputOf('ldd', [path]).matchAll(/^\s*(lib(?:mbedcrypto|sodium|crypto)\S*)/gm)].map(([, name]) => name!);
}

function rustCompiler(path: string): string[] {
  const [version] = /rustc version [\d.]+/.exec(outputOf('readelf', ['-p', '.comment', path])) ?? [];
  return version ? [version] : [];
}

function goBuild(path: string): string[] {
  if (!findOnPath('go')) return [];
  const information = outputOf('go', ['version', '-m', path]);
  const module = /^\tmod\t(\S+)\t(\S+)/m.exec(information);
  const settings = [...information.matchAll(/^\tbuild\t(-tags=\S+|GOAMD64=\S+|CGO_ENABLED=\S+)/gm)].map(
    ([, text]) => text!,
  );
  return [...(module ? [`${module[1]}@${module[2]}`] : []), ...settings];
}

function ownVersion(): string {
  const path = fileURLToPath(new URL('../../package.json', import.meta.url));
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function ownCommit(directory: string): string {
  const absence = nativeAbsence();
  const addon = absence === undefined ? 'with the native addon' : `no native addon (${absence})`;
  const commit = outputOf('git', ['-C', directory, 'rev-parse', '--short', 'HEAD']).trim();
  if (!/^[0-9a-f]+$/.test(commit)) return addon;
  const changed = outputOf('git', ['-C', directory, 'status', '--porcelain', '--untracked-files=no']).trim() !== '';
  return `commit ${commit}${changed ? ' with changes' : ''}; ${addon}`;
}
