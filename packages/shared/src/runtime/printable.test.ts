import { expect, it } from 'vitest';
import { hasUnseen, printable, printableJson, quotedBriefly } from './printable.ts';

it('lets through what can be read, and nothing that moves the cursor', () => {
  expect(printable('Köln → 1 …')).toBe('Köln → 1 …');
  expect(printable('a\x1b[2Jb\u202ec\nd\u009be\u2028f\x7f')).toBe('a?[2Jb?c?d?e?f?');
});

it('escapes the same in JSON, which says what it said', () => {
  const said = { text: 'Köln\x1b[2Jb\u202ec\nd\u009be\u2028f\x7f\u{e0041}' };
  const json = printableJson(said);
  expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(json).toContain('"Köln');
  expect(JSON.parse(json)).toEqual(said);
});

it('quotes the beginning', () => {
  expect(quotedBriefly('a\x1b[2J"\u202e')).toBe('"a?[2J\\"?"');
  expect(quotedBriefly('a'.repeat(100_000))).toBe(`"${'a'.repeat(40)}…"`);
  expect(hasUnseen('Köln')).toBe(false);
  expect(hasUnseen('K\u200doln')).toBe(true);
});
