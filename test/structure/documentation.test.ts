import { EventEmitter } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main as localMain } from '@podsocks/client/command-line';
import { main as serverMain } from '@podsocks/server/command-line';
import { describe, expect, it } from 'vitest';

// What users read names all that the programs have, and leads nowhere that is not there.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const GUIDES = readdirSync(join(ROOT, 'docs'))
  .filter(name => name.endsWith('.md'))
  .map(name => `docs/${name}`);
const OTHERS = ['CHANGELOG.md', 'CONTRIBUTING.md', 'bench/README.md'];

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** What a program prints. */
type Run = (argv: readonly string[]) => Promise<string>;

const never = () => Promise.reject(new Error('started'));

const PROGRAMS: Readonly<Record<string, Run>> = {
  'ss-local': printed((argv, surroundings) =>
    localMain(argv, {}, surroundings, { version: '0', start: never, self: ['ss-local'] }),
  ),
  'ss-server': printed((argv, surroundings) => serverMain(argv, {}, surroundings, { version: '0', start: never })),
};

function printed(main: (argv: readonly string[], surroundings: Parameters<typeof localMain>[2]) => unknown): Run {
  return async argv => {
    const out: string[] = [];
    const stdout = { write: (text: string) => out.push(text) };
    await main(argv, { stdout, stderr: stdout, events: new EventEmitter() });
    return out.join('');
  };
}

/** The long names of the options in a help, without those that every program has. */
function flagsIn(help: string): string[] {
  const all = [...help.matchAll(/^ {2}(?:-\S, )?(--[\w-]+)/gm)].map(([, long]) => long!);
  return all.filter(long => long !== '--help' && long !== '--version');
}

function commandsIn(help: string): string[] {
  const [, section = ''] = /^Commands:\n((?: {2}.*\n)*)/m.exec(help) ?? [];
  return [...section.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name]) => name!);
}

/** A program, its commands, and theirs: each with its help. */
async function helps(run: Run, path: readonly string[] = []): Promise<{ path: readonly string[]; help: string }[]> {
  const help = await run([...path, '--help']);
  const below = await Promise.all(commandsIn(help).map(name => helps(run, [...path, name])));
  return [{ path, help }, ...below.flat()];
}

describe.each(Object.entries(PROGRAMS))('README.md and docs/ name of %s', (name, run) => {
  const documented = ['README.md', ...GUIDES].map(read).join('\n');

  it('every flag', async () => {
    for (const { path, help } of await helps(run)) {
      const flags = flagsIn(help);
      if (path.length === 0) expect(flags).toEqual(expect.arrayContaining(['--config', '--check']));
      const missing = flags.filter(flag => !new RegExp(`(?<![\\w-])${flag}(?![\\w-])`).test(documented));
      expect({ path, missing }).toEqual({ path, missing: [] });
    }
  });

  it('every command', async () => {
    const paths = (await helps(run)).map(({ path }) => path.join(' ')).filter(path => path !== '');
    expect(paths).toEqual(expect.arrayContaining(name === 'ss-local' ? ['doctor', 'dns install'] : ['user add']));
    const missing = paths.filter(path => !new RegExp(`\\b${name}\\b[^\\n]* ${path}\\b`).test(documented));
    expect(missing).toEqual([]);
  });

  it('every variable', async () => {
    const variables = new Set((await run(['--help'])).match(/\bSS_\w+/g));
    expect([...variables].filter(variable => !new RegExp(`\\b${variable}\\b`).test(documented))).toEqual([]);
  });
});

/** As GitHub makes them: lower case, no punctuation, hyphens for spaces, a number behind what is there already. */
function anchorsOf(document: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of withoutCode(document).matchAll(/^#{1,6} +(.*?)[ #]*$/gm)) {
    const slug = heading!
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(document: string): string {
  return document.replace(/^ *```[\s\S]*?^ *```/gm, '');
}

function linksIn(document: string): string[] {
  const text = withoutCode(document).replace(/`[^`\n]*`/g, '``');
  const links = [
    ...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g),
    ...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm),
  ];
  return links.map(([, to]) => to!).filter(to => !/^[a-z][a-z+.-]*:/i.test(to));
}

describe('links', () => {
  it('are found by this test, and anchors are', () => {
    expect(linksIn('[a](b.md) ![c](d.svg) `[e](f)` [g](https://h) [i](#j-k)\n```\n[l](m)\n```\n[n]: o.md')).toEqual([
      'b.md',
      'd.svg',
      '#j-k',
      'o.md',
    ]);
    expect(linksIn(read('README.md')).length).toBeGreaterThan(20);
    expect([...anchorsOf('# A `b`, c\n## D_e-f [g](h)\n```\n# i\n```\n## A b c\n### Ü 1.2')]).toEqual([
      'a-b-c',
      'd_e-f-g',
      'a-b-c-1',
      'ü-12',
    ]);
  });

  it.each(['README.md', ...GUIDES, ...OTHERS])('in %s lead somewhere', path => {
    const broken = linksIn(read(path)).filter(link => {
      const [file = '', anchor] = link.split('#');
      const to = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
      if (to.startsWith('..') || !existsSync(join(ROOT, to))) return true;
      return anchor !== undefined && to.endsWith('.md') && !anchorsOf(read(to)).has(decodeURIComponent(anchor));
    });
    expect(broken).toEqual([]);
  });
});
