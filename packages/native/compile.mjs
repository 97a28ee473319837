/** Compiles the C files of src with the machine's C compiler. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = ['aead.c', 'hkdf.c'].map(name => fileURLToPath(new URL(`src/${name}`, import.meta.url)));
const HEADERS = dirname(createRequire(import.meta.url).resolve('node-api-headers/include/node_api.h'));

/** What makes a fault in the addon end the process. Some distributions define _FORTIFY_SOURCE themselves: undefined first. */
const HARDENING = ['-fstack-protector-strong', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2'];

/** How to make a module whose undefined symbols are those of the `node` that loads it, and are looked for when it does. */
const LINK = {
  linux: ['-shared', '-fPIC', '-Wl,-z,now'],
  darwin: ['-bundle', '-undefined', 'dynamic_lookup', '-Wl,-bind_at_load'],
};

/** The C compiler of the machine, or the one that CC names; undefined when it does not run. */
export function findCompiler() {
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  return candidates.find(name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

/**
 * @param output the path of the module.
 * @param flags further flags of the compiler; a sanitizer goes without the usual hardening, which would see faults first.
 * @returns undefined, or in words why there is no module.
 */
export function compile(output, flags = HARDENING) {
  const link = LINK[process.platform];
  if (link === undefined) return `it is not built on ${process.platform}`;
  const compiler = findCompiler();
  if (compiler === undefined) {
    return process.env.CC
      ? `CC is set to ${process.env.CC}, which does not run; it has to be one command`
      : 'there is no C compiler (cc, gcc or clang); install one, or set CC';
  }
  const args = ['-std=c11', '-O2', '-Wall', '-Wextra', '-fvisibility=hidden', ...link, ...flags, '-I', HEADERS];
  const { status, signal, stderr, error } = spawnSync(compiler, [...args, '-o', output, ...SOURCES], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `${compiler} failed: ${error?.message ?? (stderr.trim() || signal || status)}`;
}
