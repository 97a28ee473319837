import { defineConfig } from 'vitest/config';

// Tests import the packages' TypeScript, not their build: the condition "source" of each package.json.
const conditions = ['source', 'node', 'import', 'module', 'default'];

/** Tests that wait for real time-outs, or for programs: they run with the operations. */
const SLOW = ['packages/*/src/**/*.slow.test.ts', 'test/integration/*.slow.test.ts'];

const project = (name: string, include: string[], testTimeout: number, exclude: string[] = []) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions, noExternal: [/^@podsocks\//] } },
  test: { name, include, exclude, testTimeout, hookTimeout: testTimeout, environment: 'node' as const },
});

export default defineConfig({
  test: {
    projects: [
      project(
        'unit',
        ['packages/*/src/**/*.test.ts', 'bench/src/**/*.test.ts', 'test/structure/*.test.ts'],
        20_000,
        SLOW,
      ),
      project('integration', ['test/integration/*.test.ts'], 30_000, SLOW),
      project('operations', ['test/operations/*.test.ts', ...SLOW], 30_000),
      project('hostile', ['test/hostile/*.test.ts'], 60_000),
      project('interop', ['test/interop/*.test.ts'], 180_000),
      project('kubernetes', ['test/kubernetes/*.test.ts'], 60_000),
      project('cluster', ['test/cluster/*.test.ts'], 60_000),
    ],
  },
});
