import { describe, expect, it } from 'vitest';
import { isPartial, type Options, parseArguments, UsageError, usage } from './arguments.ts';

const MEASURES = ['bulk', 'latency'];
const parse = (...args: string[]) => parseArguments(args, MEASURES) as Options;

describe('parseArguments', () => {
  it('asks for a whole run of five rounds by default', () => {
    const options = parse();
    expect(options).toEqual({ quick: false, rounds: 5, only: [], contestants: [], out: undefined });
    expect(isPartial(options)).toBe(false);
  });

  it('takes every option', () => {
    expect(
      parse('--quick', '--rounds', '3', '--only', 'latency,bulk', '--contestants=libev, rust', '--out', 'x'),
    ).toEqual({ quick: true, rounds: 3, only: ['latency', 'bulk'], contestants: ['libev', 'rust'], out: 'x' });
  });

  it('makes fewer rounds when it has to be quick', () => {
    expect(parse('--quick').rounds).toBe(2);
  });

  it.each([[['--quick']], [['--only', 'bulk']], [['--contestants', 'rust']]])('%j is a partial run', args => {
    expect(isPartial(parse(...args))).toBe(true);
  });

  it.each([['--help'], ['-h']])('%s wins', flag => {
    expect(parseArguments([flag, '--rounds', 'many'], MEASURES)).toBe('help');
    expect(usage(MEASURES)).toContain('bulk, latency');
  });

  it.each([
    [['--rounds', '0'], /--rounds: "0"/],
    [['--rounds', '1.5'], /--rounds: "1\.5"/],
    [['--rounds', '1e2'], /--rounds: "1e2"/],
    [['--rounds', ''], /--rounds/],
    [['--rounds', '100000'], /--rounds/],
    [['--rounds'], /--rounds/],
    [['--only', 'speed'], /no measure "speed"; there are bulk, latency/],
    [['--only', ','], /--only: nothing is named/],
    [['--contestants', ' '], /--contestants: nothing is named/],
    [['--out', ''], /--out/],
    [['--quick=yes'], /--quick/],
    [['--fast'], /--fast/],
    [['bulk'], /bulk/],
  ])('%j is wrong usage', (args, words) => {
    expect(() => parse(...args)).toThrow(UsageError);
    expect(() => parse(...args)).toThrow(words);
  });
});
