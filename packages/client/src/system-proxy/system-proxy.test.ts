import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it } from 'vitest';
import { commandLineText } from './command-line-text.ts';
import { DESKTOPS } from './desktop.ts';
import { clientStatus, EACH, filled, SystemProxyRun } from './system-proxy-fixtures.ts';

describe('ss-local system-proxy', () => {
  it.each(EACH)('%s, %s: says what it does, does it, remembers, and puts back', async (name, kind) => {
    using machine = new SystemProxyRun(name);
    const before = machine.settings();

    expect(await machine.run('on', `--${kind}`)).toBe(0);
    const state = readFileSync(machine.statePath, 'utf8');
    const during = machine.settings();
    machine.output += `\n--- settings\n${JSON.stringify(during, null, 2)}\n--- state\n${state}--- off\n`;
    expect(await machine.run('off')).toBe(0);
    machine.output += `\n--- commands that were run\n`;
    for (const command of machine.fake.written) machine.output += `${commandLineText(command, name)}\n`;

    await expect(machine.output).toMatchFileSnapshot(`golden/${name}-${kind}.txt`);
    expect(filled(machine.settings())).toEqual(filled(before));
    expect(existsSync(machine.statePath)).toBe(false);
    const left = readdirSync(machine.home, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
    expect(left).toEqual([]);
  });

  it.each(DESKTOPS)('%s: leaves nothing behind where nothing was set', async name => {
    using machine = new SystemProxyRun(name, name === 'macos' ? { 'Wi-Fi/enabled': 'yes' } : {});
    const before = machine.settings();
    expect(await machine.run('on')).toBe(0);
    expect(machine.settings()).not.toEqual(before);
    expect(await machine.run('off')).toBe(0);
    expect(filled(machine.settings())).toEqual(filled(before));
  });

  it.each(DESKTOPS)('%s: on twice, and in another way, remembers what was there first', async name => {
    using machine = new SystemProxyRun(name);
    const before = machine.settings();
    await machine.run('on');
    const state = readFileSync(machine.statePath, 'utf8');
    const count = machine.fake.written.length;
    expect(await machine.run('on')).toBe(0);
    expect(machine.output).toContain('is on already, since 2026-01-31T18:00:00.000Z');
    expect(machine.fake.written).toHaveLength(count);
    expect(readFileSync(machine.statePath, 'utf8')).toBe(state);

    expect(await machine.run('on', '--socks')).toBe(0);
    expect(await machine.run('on', '--pac')).toBe(0);
    expect(readFileSync(machine.statePath, 'utf8')).toBe(state);
    expect(await machine.run('off')).toBe(0);
    expect(filled(machine.settings())).toEqual(filled(before));
  });

  it.each(DESKTOPS)('%s: off without on changes nothing and says so', async name => {
    using machine = new SystemProxyRun(name);
    expect(await machine.run('off')).toBe(0);
    expect(machine.output).toMatch(/^is not on \(there is no .*: nothing was changed\n$/);
    expect(machine.fake.written).toEqual([]);
  });

  it.each(DESKTOPS)('%s: --dry-run prints the commands, and neither runs nor writes', async name => {
    using machine = new SystemProxyRun(name);
    expect(await machine.run('on', '--dry-run')).toBe(0);
    expect(machine.output).toMatch(/^(ss-local: warning: .*\n)?would run:\n( {2}\S.*\n)+nothing was changed\n$/);
    expect(machine.fake.written).toEqual([]);
    expect(existsSync(machine.statePath)).toBe(false);

    await machine.run('on');
    const during = machine.settings();
    expect(await machine.run('off', '--dry-run')).toBe(0);
    expect(machine.settings()).toEqual(during);
    expect(existsSync(machine.statePath)).toBe(true);
  });

  const USERS_OWN = {
    gnome: ['org.gnome.system.proxy autoconfig-url', "'http://other.example.com/'"],
    kde: ['Proxy Config Script', 'http://other.example.com/'],
    macos: ['Wi-Fi/autoproxyurl', 'http://other.example.com/'],
    windows: ['AutoConfigURL', 'REG_SZ http://other.example.com/'],
  } as const;

  it.each(DESKTOPS)('%s: off leaves what somebody has set since, unless it is forced', async name => {
    using machine = new SystemProxyRun(name);
    const before = machine.settings();
    await machine.run('on');
    const [key, value] = USERS_OWN[name];
    machine.fake.settings.set(key, value);

    expect(await machine.run('off')).toBe(1);
    expect(machine.output).toContain(`${key} was changed since, to ${value};`);
    expect(machine.output).toContain('off --force');
    expect(machine.settings()[key]).toBe(value);
    // The other network service was ours still.
    if (name === 'macos') expect(machine.settings()['USB 10/100/1000 LAN/autoproxystate']).toBe('off');

    expect(await machine.run('off', '--force')).toBe(0);
    expect(filled(machine.settings())).toEqual(filled(before));
    expect(existsSync(machine.statePath)).toBe(false);
  });

  it('off has nothing to object to where somebody has switched the proxy off already', async () => {
    using machine = new SystemProxyRun('gnome', {});
    await machine.run('on');
    machine.fake.settings.set('org.gnome.system.proxy mode', "'none'");
    expect(await machine.run('off')).toBe(0);
    expect(machine.settings()['org.gnome.system.proxy autoconfig-url']).toBeUndefined();
  });

  it("off puts back what somebody had set against an administrator's default", async () => {
    const mode = 'org.gnome.system.proxy mode';
    using machine = new SystemProxyRun('gnome', { [mode]: "'none'", [`default ${mode}`]: "'auto'" });
    await machine.run('on');
    expect(await machine.run('off')).toBe(0);
    expect(machine.settings()[mode]).toBe("'none'");
  });

  it('on again takes what somebody has set since for what is to come back', async () => {
    using machine = new SystemProxyRun('gnome');
    await machine.run('on');
    machine.fake.settings.set('org.gnome.system.proxy autoconfig-url', "'http://other.example.com/'");
    await machine.run('on');
    await machine.run('off');
    expect(machine.settings()['org.gnome.system.proxy autoconfig-url']).toBe("'http://other.example.com/'");
    expect(machine.settings()['org.gnome.system.proxy mode']).toBe("'manual'");
  });

  it('is for one user, who alone reads what is remembered', async () => {
    using machine = new SystemProxyRun('gnome');
    await machine.run('on');
    expect(statSync(machine.statePath).mode & 0o777).toBe(0o600);
    expect(machine.output).not.toContain('secret');
    await machine.run('status');
    expect(machine.output).not.toContain('secret');
    expect(readFileSync(machine.statePath, 'utf8')).toContain('ada:secret@');
  });

  it.each(DESKTOPS)('%s: warns where another proxy was in use', async name => {
    using machine = new SystemProxyRun(name);
    await machine.run('on');
    expect(machine.output).toMatch(/^ss-local: warning: a proxy was in use before \(.+\), and is not meanwhile/);
    using other = new SystemProxyRun(name, name === 'macos' ? { 'Wi-Fi/enabled': 'yes' } : {});
    await other.run('on');
    expect(other.output).not.toContain('warning');
  });

  it('refuses while no ss-local answers, unless it is forced', async () => {
    using machine = new SystemProxyRun('gnome');
    machine.status = undefined;
    expect(await machine.run('on')).toBe(1);
    expect(machine.output).toContain(
      'no ss-local answers at 127.0.0.1:1080, so nothing would be reached; start it first',
    );
    expect(machine.fake.written).toEqual([]);
    expect(await machine.run('on', '--force')).toBe(0);
  });

  it('warns where ss-local asks for a password, and where Windows would look names up itself', async () => {
    using machine = new SystemProxyRun('windows');
    machine.status = clientStatus({ asksForPassword: true });
    await machine.run('on', '--socks');
    expect(machine.output).toContain('warning: ss-local asks for a user name and a password');
    expect(machine.output).toContain('warning: Windows speaks SOCKS4');
  });

  it('knows one by its asking for a password', async () => {
    using machine = new SystemProxyRun('gnome', {});
    machine.status = new PodsocksError('ERR_DENIED', 'asks');
    expect(await machine.run('on')).toBe(0);
    expect(machine.output).toContain('warning: ss-local asks for a user name and a password');
    await machine.run('status');
    expect(machine.output).toContain('127.0.0.1:1080: ss-local answers\n');
  });

  it.each([
    ['gnome', ['on', '--pac', '--socks'], '--pac and --socks: leave one of them out'],
    ['gnome', ['on', '--service', 'Wi-Fi'], '--service: gnome has no network services'],
    ['gnome', ['on', '--desktop', 'cde'], '"cde" is not one of gnome, kde, macos, windows'],
    ['macos', ['on', '--service', 'Ethernet'], 'there is no network service "Ethernet"; give one of "Wi-Fi", "USB 10/'],
    ['gnome', ['onn'], 'there is no "onn"; say what to do: ss-local system-proxy on|off|status'],
    ['gnome', [], 'say what to do'],
  ] as const)('%s: refuses %j', async (name, argv, message) => {
    using machine = new SystemProxyRun(name);
    expect(await machine.run(...argv)).toBe(2);
    expect(machine.output).toContain(message);
    expect(machine.fake.written).toEqual([]);
  });

  it('says which program is missing', async () => {
    using machine = new SystemProxyRun('gnome');
    expect(await machine.run('on', '--desktop', 'kde')).toBe(1);
    expect(machine.output).toContain('there is no program kreadconfig5 on this machine; is --desktop right?');
  });

  it('does not mix two desktops up', async () => {
    using machine = new SystemProxyRun('gnome');
    await machine.run('on');
    expect(await machine.run('on', '--desktop', 'windows')).toBe(2);
    expect(machine.output).toContain('the proxy is on for gnome');
    expect(machine.output).toContain('first: ss-local system-proxy off --desktop gnome');
  });

  it.each([
    '',
    '{',
    'null',
    '{"desktop":"gnome"}',
    '{"desktop":"gnome","kind":"pac","since":"","before":{"a":1},"ours":{"a":1}}',
  ])('a damaged memory is an error, and nothing is changed: %s', async text => {
    using machine = new SystemProxyRun('gnome');
    await machine.run('on');
    const count = machine.fake.written.length;
    writeFileSync(machine.statePath, text);
    for (const verb of ['on', 'off', 'status']) expect(await machine.run(verb)).toBe(2);
    expect(machine.output).toContain('is damaged, so it does not tell what was there before');
    expect(machine.fake.written).toHaveLength(count);
  });

  it.each(['gnome', 'kde', 'windows'] as const)('%s: a memory of another version is kept', async name => {
    using machine = new SystemProxyRun(name);
    await machine.run('on');
    const count = machine.fake.written.length;
    const { before, ours, ...others } = JSON.parse(readFileSync(machine.statePath, 'utf8'));
    const state = { ...others, before: { ...before, Later: 'a' }, ours: { ...ours, Later: 'b' } };
    writeFileSync(machine.statePath, JSON.stringify(state));
    for (const words of [['on', '--socks'], ['off'], ['off', '--force']]) expect(await machine.run(...words)).toBe(2);
    expect(machine.output).toContain('is of another version of ss-local (Later); put back what was there');
    expect(machine.fake.written).toHaveLength(count);
    expect(JSON.parse(readFileSync(machine.statePath, 'utf8'))).toEqual(state);
  });

  it('status says what is set, what was, and what somebody has changed', async () => {
    using machine = new SystemProxyRun('gnome');
    await machine.run('status');
    expect(machine.output).toContain('gnome: not switched on by ss-local\n');
    await machine.run('on');
    machine.fake.settings.set('org.gnome.system.proxy mode', "'none'");
    machine.status = undefined;
    machine.output = '';
    expect(await machine.run('status')).toBe(0);
    await expect(machine.output).toMatchFileSnapshot('golden/gnome-status.txt');
  });
});
