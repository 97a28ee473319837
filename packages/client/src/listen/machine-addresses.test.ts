import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { isOfThisMachine } from './client-gate.ts';
import { attachedNetworks, hasIpv6, isMachineAddress, lanAddresses } from './machine-addresses.ts';

vi.mock('node:os', async original => {
  const os = await original<typeof import('node:os')>();
  return { ...os, networkInterfaces: vi.fn(os.networkInterfaces) };
});
vi.mock('node:fs', async original => {
  const fs = await original<typeof import('node:fs')>();
  const readFileSync = (path: string, ...more: readonly [never]) => {
    if (path.startsWith('/proc/')) throw new Error('EMFILE');
    return fs.readFileSync(path, ...more);
  };
  return { ...fs, readFileSync };
});
afterEach(() => void vi.mocked(networkInterfaces).mockReset());

const MAC = {
  none: undefined,
  lo0: [{ address: 'fe80::1', family: 'IPv6', internal: true, scopeid: 1, cidr: 'fe80::1/64' }],
  en0: [
    { address: 'fe80::aede', family: 'IPv6', internal: false, scopeid: 6, cidr: 'fe80::aede/64' },
    { address: '192.168.1.20', family: 'IPv4', internal: false, cidr: '192.168.1.20/24' },
  ],
};

let now = performance.now();

/** What is remembered is out of date. */
function later(): void {
  now += 10_000;
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now);
  onTestFinished(() => clock.mockRestore());
}

function on(interfaces: object): void {
  later();
  vi.mocked(networkInterfaces).mockReturnValue(interfaces as ReturnType<typeof networkInterfaces>);
}

describe('a link-local address', () => {
  it.each([
    ['fe80::1%lo0', true],
    ['fe80::1%1', true],
    ['fe80::aede%en0', true],
    ['fe80::aede%6', true],
    ['fe80::1%en0', false],
    ['fe80::1%6', false],
    ['fe80::aede%en1', false],
    ['fe80::1', false],
    ['192.168.1.20', true],
    ['::ffff:192.168.1.20', true],
  ])('is of this machine on its own link only: %s is %s', (address, expected) => {
    on(MAC);
    expect(isOfThisMachine(address)).toBe(expected);
  });
});

describe('a system that does not tell', () => {
  const told = () => [attachedNetworks(), lanAddresses(), hasIpv6(), isMachineAddress('192.168.1.20')];

  it('leaves all as it was', () => {
    on(MAC);
    const before = told();
    expect(before).toEqual([['fe80::1/64', 'fe80::aede/64', '192.168.1.20/24'], ['192.168.1.20'], true, true]);
    later();
    vi.mocked(networkInterfaces).mockImplementation(() => {
      throw new Error('uv_interface_addresses returned EMFILE');
    });
    expect(told()).toEqual(before);
  });
});
