import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { WakeWatch } from './wake-watch.ts';

function machine() {
  const state = {
    monotonic: 0,
    wall: 1e12,
    addresses: { eth0: ['10.0.0.5'] } as Record<string, string[]>,
    looks: 0,
    isMute: false,
  };
  const watch = new WakeWatch({
    monotonic: () => state.monotonic,
    wall: () => state.wall,
    interfaces: () => {
      state.looks++;
      if (state.isMute) throw new Error('uv_interface_addresses returned Unknown system error 24');
      return Object.fromEntries(
        Object.entries(state.addresses).map(([name, addresses]) => [
          name,
          addresses.map(address => ({ address, internal: name === 'lo' }) as NetworkInterfaceInfo),
        ]),
      );
    },
  });
  const pass = (monotonic: number, wall = monotonic) => {
    state.monotonic += monotonic;
    state.wall += wall;
    return watch.check();
  };
  return { state, pass, watch };
}

describe('this machine', () => {
  it('has slept when its clocks come apart', () => {
    const { pass } = machine();
    expect([pass(1000), pass(1000, 31_002), pass(1000)]).toEqual([undefined, 'slept', undefined]);
  });

  it('has been stopped when nobody asked for half a minute', () => {
    const { pass } = machine();
    expect([pass(29_000), pass(30_001), pass(1000)]).toEqual([undefined, 'slept', undefined]);
  });

  it('has not slept when its clock is put right by a little, or back', () => {
    const { pass } = machine();
    expect([pass(1000, 20_000), pass(1000, -3_600_000), pass(1000)]).toEqual([undefined, undefined, undefined]);
  });

  it.each<[string, Record<string, string[]>, string | undefined]>([
    ['another address', { eth0: ['10.0.0.6'] }, 'network'],
    ['one more', { eth0: ['10.0.0.5'], wlan0: ['192.168.1.2'] }, 'network'],
    ['none', {}, 'network'],
    ['the same in another order', { lo: ['127.0.0.1'], eth0: ['10.0.0.5'] }, undefined],
    ['a container more', { eth0: ['10.0.0.5'], veth1: ['fe80::1', '169.254.3.4'] }, undefined],
  ])('is looked at every five seconds: %s', (_, addresses, expected) => {
    const { state, pass } = machine();
    state.addresses = addresses;
    expect([pass(4_999), pass(1), pass(5_000)]).toEqual([undefined, expected, undefined]);
    expect(state.looks).toBe(3);
  });

  it('is looked at at once where that matters', () => {
    const { state, pass, watch } = machine();
    state.addresses = { eth0: ['10.0.0.6'] };
    expect([pass(1000), watch.check(true), watch.check(true)]).toEqual([undefined, 'network', undefined]);
  });

  it('that wakes up elsewhere is noticed once', () => {
    const { state, pass } = machine();
    state.addresses = { wlan0: ['172.20.1.1'] };
    expect([pass(1000, 100_000), pass(5000)]).toEqual(['slept', undefined]);
  });

  it('is where it was while the system does not tell its addresses', () => {
    const { state, pass } = machine();
    state.isMute = true;
    expect(pass(6_000)).toBeUndefined();
    state.isMute = false;
    expect(pass(6_000)).toBeUndefined();
    state.addresses = { eth0: ['10.0.0.6'] };
    expect(pass(6_000)).toBe('network');
  });
});
