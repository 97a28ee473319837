import { describe, expect, test } from 'vitest';
import { commonConfig, folded } from './common-config.ts';
import { carriesTcp, carriesUdp, type Mode } from './mode.ts';

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

describe('the mode', () => {
  const [udp, udpOnly] = [
    { value: true, from: '-u (--udp)' },
    { value: true, from: '-U (--udp-only)' },
  ];
  const mode = (value: Mode) => ({ value, from: '--mode' });
  const modeOf = (layer: Parameters<typeof folded>[0]) => folded(layer, () => {}).mode;

  test('is what -u, -U or --mode says, and nothing where none of them is given', () => {
    expect(modeOf({})).toBeUndefined();
    expect(modeOf({ udp })).toEqual({ value: 'tcp_and_udp', from: '-u (--udp)' });
    expect(modeOf({ udpOnly })).toEqual({ value: 'udp_only', from: '-U (--udp-only)' });
    expect(modeOf({ mode: mode('tcp_only') })).toEqual(mode('tcp_only'));
  });

  test('is UDP alone where -U stands beside -u', () => {
    expect(modeOf({ udp, udpOnly })?.value).toBe('udp_only');
  });

  test('may be said twice, in both ways', () => {
    expect(modeOf({ udp, mode: mode('tcp_and_udp') })?.value).toBe('tcp_and_udp');
    expect(modeOf({ udpOnly, mode: mode('udp_only') })?.value).toBe('udp_only');
  });

  test.each([
    [{ udp, mode: mode('udp_only') }, '-u (--udp) and --mode contradict each other; keep one'],
    [{ udp, mode: mode('tcp_only') }, '-u (--udp) and --mode contradict each other; keep one'],
    [{ udpOnly, mode: mode('tcp_and_udp') }, '-U (--udp-only) and --mode contradict each other; keep one'],
    [{ udp, udpOnly, mode: mode('tcp_and_udp') }, '-U (--udp-only) and --mode contradict each other; keep one'],
  ])('is refused where two ways contradict each other in one source: %#', (layer, complaint) => {
    expect(() => modeOf(layer)).toThrow(complaint);
  });

  test.each([
    ['tcp_only', true, false],
    ['tcp_and_udp', true, true],
    ['udp_only', false, true],
  ] as const)('%s carries what its name says', (value, tcp, udpToo) => {
    expect([carriesTcp(value), carriesUdp(value)]).toEqual([tcp, udpToo]);
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
