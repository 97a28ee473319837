import { expect, it } from 'vitest';
import { printable } from './printable.ts';

it('lets through what can be read, and nothing that moves the cursor', () => {
  expect(printable('Köln → 1 …')).toBe('Köln → 1 …');
  expect(printable('a\x1b[2Jb\u202ec\nd\u009be\u2028f\x7f')).toBe('a?[2Jb?c?d?e?f?');
});
