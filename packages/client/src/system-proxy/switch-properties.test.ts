import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DESKTOPS, type DesktopName, PROXY_KINDS } from './desktop.ts';
import { SystemProxyRun } from './system-proxy-fixtures.ts';

const word = fc.string({ unit: fc.constantFrom(...'abz09.-_*'), minLength: 1, maxLength: 8 });
const text = fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map(raw => raw.replace(/["'\\]/g, '').trim());
const port = fc.integer({ min: 1, max: 0xffff });
const state = fc.constantFrom('on', 'off');
const quoted = text.map(value => `'${value}'`);
const server = fc.tuple(word, port).map(([name, number]) => `${name} ${number}`);

/** Whatever a user may have set, or not. */
const SETTINGS: Readonly<Record<DesktopName, fc.Arbitrary<Record<string, string>>>> = {
  gnome: fc.record(
    {
      'org.gnome.system.proxy mode': fc.constantFrom("'none'", "'manual'", "'auto'"),
      'org.gnome.system.proxy autoconfig-url': quoted,
      'org.gnome.system.proxy.http host': quoted,
      'org.gnome.system.proxy.https host': quoted,
      'org.gnome.system.proxy.ftp host': quoted,
      'org.gnome.system.proxy.socks host': quoted,
      'org.gnome.system.proxy.socks port': port.map(String),
    },
    { requiredKeys: [] },
  ),
  kde: fc.record(
    {
      ProxyType: fc.constantFrom('0', '1', '2', '3', '4'),
      'Proxy Config Script': text,
      httpProxy: text,
      httpsProxy: text,
      ftpProxy: text,
      socksProxy: text,
    },
    { requiredKeys: [] },
  ),
  windows: fc.record(
    {
      ProxyEnable: fc.constantFrom('REG_DWORD 0x0', 'REG_DWORD 0x1'),
      ProxyServer: text.map(value => `REG_SZ ${value}`),
      ProxyOverride: fc.array(word).map(values => `REG_SZ ${values.join(';')}`),
      AutoConfigURL: text.map(value => `REG_EXPAND_SZ ${value}`),
    },
    { requiredKeys: [] },
  ),
  macos: fc
    .dictionary(
      fc
        .string({ unit: fc.constantFrom(...'Wi-F 0/('), minLength: 1, maxLength: 6 })
        .filter(name => name.trim() === name),
      fc.record({
        enabled: fc.constantFrom('yes', 'no'),
        autoproxyurl: fc.oneof(word, fc.constant('')),
        autoproxystate: state,
        proxyautodiscovery: state,
        webproxystate: state,
        securewebproxystate: state,
        socksfirewallproxy: fc.oneof(server, fc.constant('')),
        socksfirewallproxystate: state,
        proxybypassdomains: fc.array(word).map(domains => [...domains, '*.local'].join(' ')),
      }),
      { minKeys: 1, maxKeys: 3 },
    )
    .filter(services => Object.values(services).some(({ enabled }) => enabled === 'yes'))
    .map(services =>
      Object.fromEntries(
        Object.entries(services).flatMap(([name, values]) =>
          Object.entries(values).map(([key, value]) => [`${name}/${key}`, value] as const),
        ),
      ),
    ),
};

describe('system-proxy', () => {
  it.each(DESKTOPS)('%s: any number of on, then off, restores whatever was there', async name => {
    const switches = fc.array(fc.constantFrom(...PROXY_KINDS), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(SETTINGS[name], switches, async (settings, kinds) => {
        using machine = new SystemProxyRun(name, settings);
        const before = effective(machine.settings());
        for (const kind of kinds) expect(await machine.run('on', `--${kind}`), machine.output).toBe(0);
        expect(await machine.run('off'), machine.output).toBe(0);
        expect(effective(machine.settings())).toEqual(before);
      }),
      { numRuns: 30 },
    );
  });

  it.each(DESKTOPS)('%s: a command that fails anywhere leaves what was there', async name => {
    await fc.assert(
      fc.asyncProperty(SETTINGS[name], fc.constantFrom(...PROXY_KINDS), fc.nat(12), async (settings, kind, failing) => {
        using machine = new SystemProxyRun(name, settings);
        const before = effective(machine.settings());
        let count = 0;
        machine.fake.refuse = () => {
          if (count++ === failing) throw new Error('no');
        };
        if ((await machine.run('on', `--${kind}`)) === 0) return;
        expect(effective(machine.settings())).toEqual(before);
      }),
      { numRuns: 30 },
    );
  });
});

/** gsettings: what is reset is as good as what is set to the default. */
function effective(settings: Record<string, string>): Record<string, string> {
  const defaults = new Set(["org.gnome.system.proxy mode 'none'"]);
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([key, value]) => !defaults.has(`${key} ${value}`) && !(key.startsWith('org.') && value === "''"),
    ),
  );
}
