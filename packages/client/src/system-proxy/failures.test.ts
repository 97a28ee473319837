import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EACH, filled, SystemProxyRun } from './system-proxy-fixtures.ts';

describe('ss-local system-proxy, where something fails', () => {
  it('remembers what was there before it changes anything', async () => {
    using machine = new SystemProxyRun('gnome');
    let remembered = '';
    machine.fake.refuse = () => {
      remembered ||= readFileSync(machine.statePath, 'utf8');
    };
    await machine.run('on');
    expect(JSON.parse(remembered).before['org.gnome.system.proxy mode']).toBe("'manual'");
  });

  it.each(EACH)('%s, %s: whichever command fails, everything is put back', async (name, kind) => {
    using probe = new SystemProxyRun(name);
    await probe.run('on', `--${kind}`);
    const commands = probe.fake.written.filter(({ program }) => !/dbus-send|powershell/.test(program)).length;
    for (let failing = 0; failing < commands; failing++) {
      using machine = new SystemProxyRun(name);
      const before = machine.settings();
      let count = 0;
      machine.fake.refuse = () => {
        if (count++ === failing) throw new Error('the disk is full');
      };
      expect(await machine.run('on', `--${kind}`)).toBe(1);
      expect(machine.output).toContain('the disk is full; everything is as it was before ss-local');
      expect(filled(machine.settings())).toEqual(filled(before));
      expect(existsSync(machine.statePath)).toBe(false);
    }
    expect(commands).toBeGreaterThan(0);
  });

  it('keeps what it remembers where putting back fails, too, so that off can', async () => {
    using machine = new SystemProxyRun('gnome');
    const before = machine.settings();
    let count = 0;
    machine.fake.refuse = () => {
      if (count++ > 0) throw new Error('the disk is full');
    };
    expect(await machine.run('on')).toBe(1);
    expect(machine.output).toContain('try: ss-local system-proxy off');
    machine.fake.refuse = () => {};
    expect(await machine.run('off')).toBe(0);
    expect(machine.settings()).toEqual(before);
  });

  it('a setting that does not stay is a failure: gsettings ends with 0 where it has no D-Bus', async () => {
    using machine = new SystemProxyRun('gnome', {});
    machine.fake.refuse = () => void queueMicrotask(() => machine.fake.settings.clear());
    expect(await machine.run('on')).toBe(1);
    expect(machine.output).toContain(
      "could not be set to 'http://127.0.0.1:1080/proxy.pac': the commands ran, but had no effect",
    );
    expect(existsSync(machine.statePath)).toBe(false);
  });

  it("networksetup's own complaints are failures", async () => {
    using machine = new SystemProxyRun('macos', { 'Wi-Fi/enabled': 'yes' });
    machine.fake.refuse = ({ args }) => {
      if (args[0] === '-setautoproxyurl') machine.fake.settings.delete('Wi-Fi/enabled');
    };
    expect(await machine.run('on')).toBe(1);
    expect(machine.output).toContain('** Error: The parameters were not valid.');
  });
});
