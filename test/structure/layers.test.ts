import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

// The rules of docs/ARCHITECTURE.md that the compiler does not know.

const ROOT = new URL('../../', import.meta.url);

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function sourcesIn(folder: string): Source[] {
  const files = readdirSync(fileURLToPath(new URL(folder, ROOT)), { recursive: true, encoding: 'utf8' });
  return files
    .filter(file => file.endsWith('.ts') && !/\.test\.ts$|-fixtures\.ts$/.test(file))
    .map(file => {
      const path = `${folder}/${file}`;
      const text = readFileSync(new URL(path, ROOT), 'utf8');
      const imports = [
        ...text.matchAll(
          /^(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]/gms,
        ),
      ];
      return { path, text, imports: imports.map(([, from, bare, dynamic]) => from ?? bare ?? dynamic!) };
    });
}

/** Modules that reach outside: files, sockets, timers, clocks, processes. */
const IO =
  /^(node:)?(net|dgram|dns|fs|tls|http|https|http2|child_process|cluster|worker_threads|timers|perf_hooks|process|os|readline|inspector)(\/|$)/;

/** The same things as globals. */
const IO_GLOBALS =
  /\b(setTimeout|setInterval|setImmediate|queueMicrotask|Date\.now|new Date\(\)|performance\.|process\.|fetch\(|Math\.random)/;

describe('wire/ and crypto/', () => {
  const sources = [...sourcesIn('packages/shared/src/wire'), ...sourcesIn('packages/shared/src/crypto')];

  it('are found by this test', () => {
    expect(sources.map(source => source.path)).toEqual(
      expect.arrayContaining(['packages/shared/src/wire/address.ts', 'packages/shared/src/crypto/chunks.ts']),
    );
    expect(sources.flatMap(source => source.imports)).toEqual(expect.arrayContaining(['node:crypto', './chunks.ts']));
  });

  it.each(sources)('$path imports no IO and has no clock', ({ imports, text }) => {
    expect(imports.filter(name => IO.test(name))).toEqual([]);
    expect(imports.filter(name => name.includes('/net/'))).toEqual([]);
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(code.match(IO_GLOBALS)?.[0]).toBeUndefined();
  });

  it('do not use runtime/ beyond errors, what is said in them, and buffers', () => {
    const allowed = ['../runtime/errors.ts', '../runtime/printable.ts', '../runtime/buffer-pool.ts'];
    const others = sources.flatMap(source => source.imports.filter(name => name.startsWith('../runtime/')));
    expect(others.filter(name => !allowed.includes(name))).toEqual([]);
  });
});

describe('the programs', () => {
  it.each(sourcesIn('packages/server/src'))('$path does not import the client', ({ imports }) => {
    expect(imports.filter(name => /@podsocks\/client|\/client\//.test(name))).toEqual([]);
  });

  it.each(sourcesIn('packages/client/src'))('$path does not import the server', ({ imports }) => {
    expect(imports.filter(name => /@podsocks\/server|\/server\//.test(name))).toEqual([]);
  });

  const all = ['shared', 'server', 'client'].flatMap(name => sourcesIn(`packages/${name}/src`));

  const isProgram = ({ path }: Source) => path.endsWith('/cli.ts') || path.endsWith('/workers/worker.ts');

  it.each(all.filter(source => !isProgram(source)))('$path leaves argv, env and exit to the programs', ({ text }) => {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(code.match(/process\.(argv|env|exit)\b/)?.[0]).toBeUndefined();
  });
});
