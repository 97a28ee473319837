import { expect, it } from 'vitest';
import { hasReusePort } from './node-features.ts';

it.each(['22.12.0', '22.20.1', '23.1.0', '23.11.1', '24.0.0', '100.0.0'])('Node.js %s shares ports', version => {
  expect(hasReusePort(version)).toBe(true);
});

it.each(['20.19.0', '20.99.9', '21.7.3', '22.0.0', '22.11.9', '23.0.0', '23.0.1', '9.12.0'])(
  'Node.js %s does not',
  version => {
    expect(hasReusePort(version)).toBe(false);
  },
);
