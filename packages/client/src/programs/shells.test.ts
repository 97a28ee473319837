import { spawnSync } from 'node:child_process';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findOnPath } from '../../../../bench/src/executables.ts';
import { type Shell, script, shellOf } from './shells.ts';

const HOSTILE = [
  '',
  ' ',
  "it's",
  "''",
  'a\'b"c`d$e\\f',
  '$(touch /tmp/x)',
  '`id`; id & id | id > id',
  '!x !! %PATH% %%',
  '\\',
  "\\'",
  "'\\",
  '\n',
  'two\nlines\n',
  '#x',
  '*?[a]{b,c}~',
  '-n',
  'ä ❤ 😀',
  '\u2018curly\u2019',
];

const VALUES = fc.array(
  fc.oneof(
    fc.string({ unit: fc.constantFrom(...'\'"\\$`!#~ \t\nab') }),
    fc.string().map(text => text.replaceAll('\0', '')),
  ),
  { minLength: 1, maxLength: 20 },
);

/** What a shell makes of it: prints the values, a NUL behind each, after it has evaluated the script. */
const EVALUATE: Partial<Record<Shell, (text: string, names: readonly string[]) => string[]>> = {
  bash: (text, names) => ['-c', `eval "$1"; ${printed(names)}`, 'bash', text],
  zsh: (text, names) => ['-f', '-c', `eval "$1"; ${printed(names)}`, 'zsh', text],
  fish: (text, names) => ['--no-config', '-c', `printf %s $argv[1] | source; ${printed(names)}`, text],
};

const printed = (names: readonly string[]) => names.map(name => `printf '%s\\0' "$${name}"`).join('; ');

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const path = findOnPath(shell);
  const isSkipped = path === undefined && process.env.PODSOCKS_REQUIRE_PEERS !== '1';
  describe.skipIf(isSkipped)(isSkipped ? `${shell} [SKIPPED: not installed: ${shell}]` : shell, () => {
    const evaluated = (text: string, names: readonly string[], env = process.env) =>
      spawnSync(path!, EVALUATE[shell]!(text, names), { env, encoding: 'utf8' });

    it('gets back every value', () => {
      fc.assert(
        fc.property(VALUES, given => {
          const variables = given.map((value, index) => ({ name: `V${index}`, value }));
          const text = script(shell, variables, ["a comment with 'quotes' and $(id)"]);
          const names = variables.map(({ name }) => name);
          const { stdout, stderr } = evaluated(text, names);
          expect(stderr).toBe('');
          expect(stdout.split('\0').slice(0, -1)).toEqual(given);
        }),
        { numRuns: 30, examples: [[HOSTILE]] },
      );
    });

    it('takes variables away', () => {
      const text = script(shell, [{ name: 'V0', value: undefined }], []);
      expect(evaluated(text, ['V0'], { ...process.env, V0: 'x' }).stdout).toBe('\0');
    });
  });
}

describe('PowerShell', () => {
  it('has quotes of all kinds doubled', () => {
    const variables = [
      { name: 'A', value: "it's $HOME `n" },
      { name: 'B', value: '\u2018curly\u2019 \u201a \u201b' },
      { name: 'C', value: undefined },
    ];
    expect(script('powershell', variables, ['why'])).toBe(
      [
        '# why',
        "$env:A = 'it''s $HOME `n'",
        "$env:B = '\u2018\u2018curly\u2019\u2019 \u201a\u201a \u201b\u201b'",
        'Remove-Item Env:C -ErrorAction SilentlyContinue',
        '',
      ].join('\n'),
    );
  });
});

describe('cmd', () => {
  it('has each variable once, in quotes', () => {
    const variables = [
      { name: 'HTTP_PROXY', value: 'http://a:%26@h:1' },
      { name: 'http_proxy', value: 'http://a:%26@h:1' },
      { name: 'B', value: 'a & b | "c" > ^d' },
      { name: 'C', value: undefined },
    ];
    expect(script('cmd', variables, ['why'])).toBe(
      ['REM why', 'set "HTTP_PROXY=http://a:%26@h:1"', 'set "B=a & b | "c" > ^d"', 'set "C="', ''].join('\n'),
    );
  });

  it('refuses what it cannot say', () => {
    expect(() => script('cmd', [{ name: 'A', value: 'two\nlines' }], [])).toThrow(/A has several lines/);
  });
});

describe('dotenv', () => {
  it('is read back by Node.js', () => {
    const given = {
      A: 'http://ada:%26%23@127.0.0.1:1080',
      B: '-Da=1 -Db=2|3 "x" $HOME #y',
      C: "it's",
      D: '',
    };
    const variables = Object.entries(given).map(([name, value]) => ({ name, value }));
    const text = script('dotenv', variables, ['why']);
    expect(parseEnv(text)).toEqual(given);
    // Docker reads no quotes.
    expect(text).toContain('\nA=http://ada:%26%23@127.0.0.1:1080\n');
  });

  it.each([`'"`, "it's $5", 'back\\slash', 'a\nb'])('refuses %j, for which readers differ', value => {
    expect(() => script('dotenv', [{ name: 'A', value }], [])).toThrow(/no common way/);
  });
});

it.each([
  [{ SHELL: '/usr/bin/zsh' }, 'linux', 'zsh'],
  [{ SHELL: '/opt/homebrew/bin/fish' }, 'darwin', 'fish'],
  [{ SHELL: '/bin/dash' }, 'linux', 'bash'],
  [{}, 'linux', 'bash'],
  [{ PROMPT: '$P$G' }, 'win32', 'cmd'],
  [{}, 'win32', 'powershell'],
  [{ SHELL: 'C:\\Program Files\\Git\\usr\\bin\\bash.exe' }, 'win32', 'bash'],
] as const)('%j on %s is %s', (env, platform, shell) => {
  expect(shellOf(env, platform)).toBe(shell);
});
