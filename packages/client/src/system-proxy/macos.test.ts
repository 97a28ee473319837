import { describe, expect, it } from 'vitest';
import { COMPANY } from './desktop-fixtures.ts';
import { filled, SystemProxyRun } from './system-proxy-fixtures.ts';

describe('ss-local system-proxy on macOS', () => {
  it('takes the services that are named', async () => {
    using machine = new SystemProxyRun('macos');
    await machine.run('on', '--service', 'Wi-Fi');
    expect(new Set(machine.fake.written.map(({ args }) => args[1]))).toEqual(new Set(['Wi-Fi']));
  });

  it('on for fewer services puts the others back', async () => {
    using machine = new SystemProxyRun('macos');
    await machine.run('on');
    await machine.run('on', '--service', 'Wi-Fi');
    expect(machine.settings()['USB 10/100/1000 LAN/autoproxystate']).toBe('off');
    expect(machine.settings()['Wi-Fi/autoproxyurl']).toBe('http://127.0.0.1:1080/proxy.pac');
    await machine.run('off');
    expect(filled(machine.settings())).toEqual(filled(COMPANY.macos));
  });

  it('puts a service back that was disabled since, and says of one that is gone', async () => {
    using machine = new SystemProxyRun('macos');
    await machine.run('on');
    machine.fake.settings.set('Wi-Fi/enabled', 'no');
    for (const key of [...machine.fake.settings.keys()]) if (key.startsWith('USB')) machine.fake.settings.delete(key);
    expect(await machine.run('off')).toBe(0);
    expect(machine.output).toContain('USB 10/100/1000 LAN is not there any more\n');
    expect(machine.settings()['Wi-Fi/autoproxyurl']).toBe('http://wpad.example.com/wpad.dat');
  });

  it('does not take the place of a SOCKS proxy with a password, which it could not put back', async () => {
    using machine = new SystemProxyRun('macos', {
      'Wi-Fi/enabled': 'yes',
      'Wi-Fi/socksfirewallproxyauthenticated': 'on',
    });
    expect(await machine.run('on', '--socks')).toBe(2);
    expect(machine.output).toContain('"Wi-Fi" has a SOCKS proxy with a password');
    expect(await machine.run('on')).toBe(0);
  });

  it('gives networksetup what it prints for no URL, where it refuses an empty one', async () => {
    using machine = new SystemProxyRun('macos', { 'Wi-Fi/enabled': 'yes' });
    await machine.run('on');
    machine.fake.refuse = ({ args }) => {
      if (args[0] === '-setautoproxyurl' && args[2] === '') throw new Error('usage: …');
    };
    expect(await machine.run('off')).toBe(0);
    expect(machine.settings()['Wi-Fi/autoproxyurl']).toBe('(null)');
    expect(machine.settings()['Wi-Fi/autoproxystate']).toBe('off');
  });
});
