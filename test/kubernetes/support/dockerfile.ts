import { execFile } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

export interface Step {
  readonly instruction: string;
  readonly text: string;
}

export interface Stage {
  readonly image: string;
  readonly name: string;
  readonly steps: readonly Step[];
}

/** The stages of a Dockerfile, of those instructions that this one has. */
export function parseDockerfile(text: string): Stage[] {
  const stages: { image: string; name: string; steps: Step[] }[] = [];
  const lines = text
    .split('\n')
    .filter(line => !line.startsWith('#'))
    .join('\n')
    .replace(/\\\n\s*/g, '');
  for (const line of lines.split('\n').filter(line => line.trim() !== '')) {
    const [, instruction, rest] = /^([A-Z]+)\s+(.*)$/.exec(line)!;
    if (instruction === 'FROM') {
      const [image, , name] = rest!.split(/\s+/);
      stages.push({ image: image!, name: name ?? `stage ${stages.length}`, steps: [] });
    } else {
      stages.at(-1)!.steps.push({ instruction: instruction!, text: rest! });
    }
  }
  return stages;
}

export const textsOf = (stage: Stage, instruction: string): string[] =>
  stage.steps.filter(step => step.instruction === instruction).map(({ text }) => text);

/** Copies what a builder would get of a directory, by its .dockerignore: the last pattern that matches decides. */
export function copyContext(directory: string, context: string): void {
  const patterns = readFileSync(join(directory, '.dockerignore'), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => ({ keeps: line.startsWith('!'), expression: expressionOf(line.replace(/^!/, '')) }));
  const kept = (path: string) => patterns.findLast(({ expression }) => expression.test(path))?.keeps ?? true;
  const leadsToKept = (path: string) =>
    patterns.some(({ keeps, expression }) => keeps && expression.source.startsWith(`^${path}\\/`));
  cpSync(directory, context, {
    recursive: true,
    verbatimSymlinks: true,
    filter(source) {
      const path = relative(directory, source);
      return path === '' || kept(path) || (lstatSync(source).isDirectory() && leadsToKept(path));
    },
  });
}

/** A pattern matches a path, and all below it. */
function expressionOf(pattern: string): RegExp {
  const body = pattern
    .split('/')
    .map(part => (part === '**' ? '(?:.*' : part.replace(/[.+]/g, '\\$&').replace(/\*/g, '[^/]*')))
    .join('\\/')
    .replace(/^\(\?:\.\*\\\//, '(?:.*\\/)?');
  return new RegExp(`^${body}(?:\\/.*)?$`);
}

/**
 * Does what a builder does, below `root` in place of in containers: each stage is a directory there, whose base image is this
 * machine. RUN steps have to keep to paths below their WORKDIR.
 *
 * @returns the directory of the last stage.
 */
export async function assemble(stages: readonly Stage[], context: string, root: string): Promise<string> {
  for (const stage of stages) {
    const file = (path: string) => join(root, stage.name, path);
    const env: NodeJS.ProcessEnv = {};
    let workingDirectory = '/';
    for (const { instruction, text } of stage.steps) {
      if (instruction === 'WORKDIR') {
        workingDirectory = text;
        mkdirSync(file(text), { recursive: true });
      } else if (instruction === 'ARG' || instruction === 'ENV') {
        const [name, value] = text.split('=');
        env[name!] = value;
      } else if (instruction === 'RUN') {
        await promisify(execFile)('sh', ['-ec', text], {
          cwd: file(workingDirectory),
          env: { ...ownEnvironment(), ...env },
          timeout: 120_000,
        });
      } else if (instruction === 'COPY') {
        const words = text.split(/\s+/);
        const from = words[0]!.startsWith('--from=') ? join(root, words.shift()!.slice('--from='.length)) : context;
        const target = words.pop()!;
        const into = file(target.startsWith('/') ? target : join(workingDirectory, target));
        for (const source of words) copy(join(from, source), into, words.length > 1 || /\/$|^\.\/?$/.test(target));
      }
    }
  }
  return join(root, stages.at(-1)!.name);
}

/** A directory's content goes into the target; a file becomes it, or goes into it. */
function copy(source: string, target: string, intoDirectory: boolean): void {
  if (!existsSync(source)) throw new Error(`COPY: there is no ${source}`);
  const path = intoDirectory && !lstatSync(source).isDirectory() ? join(target, basename(source)) : target;
  mkdirSync(dirname(path), { recursive: true });
  cpSync(source, path, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}

/** Without what a test runner puts there. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(NODE_ENV|NODE_OPTIONS|VITEST.*|SS_.*|INIT_CWD|npm_package_.*)$/.test(name),
    ),
  );
}
