import { expect, it } from 'vitest';
import { parseSpeed } from './openssl-speed.ts';

it('finds the speed among the rest', () => {
  const output = '+DT:AES-256-GCM:1:16384\n+R:250445:AES-256-GCM:1.000000\n+H:16384\n+F:25:AES-256-GCM:4103290880.00\n';
  expect(parseSpeed(output)).toBe(4103290880);
});

it('says what came instead', () => {
  expect(() => parseSpeed('speed: unknown cipher\n')).toThrow(/unknown cipher/);
});
