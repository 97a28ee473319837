import { Command } from 'commander';
import { expect, test } from 'vitest';
import { withoutUrlsAhead } from './url-ahead.ts';

const scratch = () => {
  const program = new Command('x')
    .version('1')
    .option('-l, --port <port>')
    .option('-v')
    .argument('[url...]')
    .exitOverride();
  program.configureOutput({ writeOut: () => {}, outputError: () => {} });
  program.command('doctor').argument('[target]').option('--json');
  program.command('run').allowExcessArguments();
  return program;
};

test.each([
  [['ss://a', 'doctor', 'web:80'], ['doctor', 'web:80'], ['ss://a']],
  [
    ['-l', '1', 'ss://a', 'SS://b', '-v', 'doctor', '--json'],
    ['-l', '1', '-v', 'doctor', '--json'],
    ['ss://a', 'SS://b'],
  ],
  [['ss://a', 'run', '--', 'doctor', 'ss://a'], ['run', '--', 'doctor', 'ss://a'], ['ss://a']],
  [['ss://a'], ['ss://a'], []],
  [['ss://a', 'hunter2'], ['ss://a', 'hunter2'], []],
  [['doctor', 'ss://a'], ['doctor', 'ss://a'], []],
  [['-l', 'doctor', 'ss://a'], ['-l', 'doctor', 'ss://a'], []],
  [['ss://a', 'doctor', '-l'], ['ss://a', 'doctor', '-l'], []],
  [['ss://a', 'doctor', '--version'], ['ss://a', 'doctor', '--version'], []],
  [[], [], []],
])('%j', (argv, left, urls) => {
  expect(withoutUrlsAhead(scratch(), argv)).toEqual({ argv: left, urls });
});
