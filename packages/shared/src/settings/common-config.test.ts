import { describe, expect, test } from 'vitest';
import { commonConfig, folded } from './common-config.ts';

describe('folded', () => {
  test('-v sets the log level within its source only', () => {
    const verbose = { value: true, from: '-v (--verbose)' };
    const layer: Parameters<typeof folded>[0] = { verbose };
    expect(folded(layer, () => {}).logLevel).toEqual({ value: 'debug', from: '-v (--verbose)' });
    const logLevel = { value: 'trace', from: '--log-level' } as const;
    expect(folded({ verbose, logLevel }, () => {}).logLevel).toBe(logLevel);
  });

  test('refuses a password beside a password file in one source', () => {
    const layer = { password: { value: 'hunter2', from: '-k' }, passwordFile: { value: 'x', from: '--password-file' } };
    expect(() => folded(layer, () => {})).toThrow('-k and --password-file both give the password');
  });
});

describe('commonConfig', () => {
  const load = (given: Parameters<typeof commonConfig>[0], nodeVersion = '20.19.0') => {
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const config = commonConfig(given, { handshakeTimeout: 1, drainTimeout: 2 }, { warn, nodeVersion });
    return { config, warnings };
  };
  const on = { value: true, from: '--flag' };

  test('warns once of each thing that Node.js cannot do', () => {
    const { warnings } = load({ fastOpen: on, mptcp: on });
    expect(warnings).toEqual([expect.stringContaining('TCP Fast Open'), expect.stringContaining('Multipath TCP')]);
    expect(load({ fastOpen: { value: false, from: 'file' } }).warnings).toEqual([]);
  });

  test.each(['20.19.0', '22.11.0', '23.0.0'])('refuses --reuse-port on Node.js %s', version => {
    expect(() => load({ reusePort: on }, version)).toThrow(`--flag: needs Node.js 22.12 or later, this is ${version}`);
    expect(load({ reusePort: { value: false, from: 'file' } }, version).config.reusePort).toBe(false);
  });

  test.each(['22.12.0', '23.1.0', '24.0.0'])('takes --reuse-port on Node.js %s', version => {
    expect(load({ reusePort: on }, version).config.reusePort).toBe(true);
  });
});
