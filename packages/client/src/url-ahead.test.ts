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
  [['ss://a', 'doctor', 'web:80'], ['doctor', 'web:80'], 'ss://a'],
  [['-l', '1', 'ss://a', 'SS://b', '-v', 'doctor', '--json'], ['-l', '1', '-v', 'doctor', '--json'], 'ss://a,SS://b'],
  [['ss://a', 'run', '--', 'doctor', 'ss://a'], ['run', '--', 'doctor', 'ss://a'], 'ss://a'],
  [['ss://a'], ['ss://a'], undefined],
  [['ss://a', 'hunter2'], ['ss://a', 'hunter2'], undefined],
  [['doctor', 'ss://a'], ['doctor', 'ss://a'], undefined],
  [['-l', 'doctor', 'ss://a'], ['-l', 'doctor', 'ss://a'], undefined],
  [['ss://a', 'doctor', '-l'], ['ss://a', 'doctor', '-l'], undefined],
  [['ss://a', 'doctor', '--version'], ['ss://a', 'doctor', '--version'], undefined],
  [[], [], undefined],
])('%j', (argv, left, url) => {
  const given = withoutUrlsAhead(scratch(), argv, { OTHER: '1' });
  expect(given.argv).toEqual(left);
  expect(given.env).toEqual({ OTHER: '1', ...(url && { SS_URL: url }) });
});
