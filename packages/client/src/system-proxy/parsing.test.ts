import { describe, expect, it } from 'vitest';
import { withoutClusterNames } from './bypass-list.ts';
import { commandLineText, withoutPassword } from './command-line-text.ts';
import { detectDesktop, statePath } from './detect.ts';
import { gnome } from './gnome.ts';
import { kde } from './kde.ts';
import { macos, parseServices } from './macos.ts';
import { runCommand } from './run-command.ts';
import { parseQuery } from './windows.ts';

describe('networksetup', () => {
  const outputs: Record<string, string> = {
    '-listallnetworkservices':
      'An asterisk (*) denotes that a network service is disabled.\nUSB 10/100/1000 LAN\nWi-Fi\n*Thunderbolt Bridge\n',
    '-getautoproxyurl': 'URL: http://wpad.example.com:8080/wpad.dat?a=b: c\nEnabled: Yes\n',
    '-getproxyautodiscovery': 'Auto Proxy Discovery: Off\n',
    '-getsocksfirewallproxy': 'Enabled: Yes\nServer: 127.0.0.1\nPort: 9050\nAuthenticated Proxy Enabled: 1\n',
    '-getwebproxy': 'Enabled: No\nServer: \nPort: 0\nAuthenticated Proxy Enabled: 0\n',
    '-getsecurewebproxy': 'Enabled: No\nServer: proxy.example.com\nPort: 3128\nAuthenticated Proxy Enabled: 0\n',
    '-getproxybypassdomains': '*.local\n169.254/16\n',
  };
  const read = (changed: Record<string, string> = {}) =>
    macos(async ({ args }) => ({ ...outputs, ...changed })[args[0]!]!, ['Wi-Fi']).read();

  it('is read', async () => {
    expect(await read()).toEqual({
      'Wi-Fi/autoproxyurl': 'http://wpad.example.com:8080/wpad.dat?a=b: c',
      'Wi-Fi/autoproxystate': 'on',
      'Wi-Fi/proxyautodiscovery': 'off',
      'Wi-Fi/socksfirewallproxy': '127.0.0.1 9050',
      'Wi-Fi/socksfirewallproxystate': 'on',
      'Wi-Fi/socksauthenticated': 'on',
      'Wi-Fi/webproxystate': 'off',
      'Wi-Fi/securewebproxystate': 'off',
      'Wi-Fi/proxybypassdomains': '*.local 169.254/16',
    });
  });

  it('is read where nothing is set', async () => {
    const nothing = {
      '-getautoproxyurl': 'URL: (null)\nEnabled: No\n',
      '-getsocksfirewallproxy': 'Enabled: No\nServer: \nPort: 0\nAuthenticated Proxy Enabled: 0\n',
      '-getproxybypassdomains': "There aren't any bypass domains set on Wi-Fi.\n",
    };
    expect(await read(nothing)).toMatchObject({
      'Wi-Fi/autoproxyurl': null,
      'Wi-Fi/autoproxystate': 'off',
      'Wi-Fi/socksfirewallproxy': null,
      'Wi-Fi/proxybypassdomains': null,
    });
  });

  it('has services with slashes, and disabled ones', () => {
    expect(parseServices(outputs['-listallnetworkservices']!)).toEqual([
      { name: 'USB 10/100/1000 LAN', isDisabled: false },
      { name: 'Wi-Fi', isDisabled: false },
      { name: 'Thunderbolt Bridge', isDisabled: true },
    ]);
  });

  it.each([
    ['-listallnetworkservices', ''],
    ['-listallnetworkservices', 'AuthorizationCreate() failed: -60008\n'],
    ['-getautoproxyurl', 'Enabled: Yes\n'],
    ['-getwebproxy', 'Wi-Fi is not a recognized network service.\n** Error: The parameters were not valid.\n'],
  ])('%s: something else is an error and no setting', async (what, text) => {
    await expect(read({ [what]: text })).rejects.toThrow('networksetup printed something else than expected');
  });
});

describe('reg query', () => {
  // From Windows 11, with names and addresses changed.
  const output = [
    '',
    'HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings',
    '    CertificateRevocation    REG_DWORD    0x1',
    '    DisableCachingOfSSLPages    REG_DWORD    0x0',
    '    PrivacyAdvanced    REG_DWORD    0x0',
    '    SecureProtocols    REG_DWORD    0xa80',
    '    User Agent    REG_SZ    Mozilla/4.0 (compatible; MSIE 8.0; Win32)',
    '    ZonesSecurityUpgrade    REG_BINARY    5D1A0B6C7AD5D901',
    '    ProxyEnable    REG_DWORD    0x0',
    '    ProxyServer    REG_SZ    http=proxy.example.com:80;https=proxy.example.com:443',
    '    ProxyOverride    REG_SZ    ',
    '    AutoConfigURL    REG_EXPAND_SZ    http://wpad/a    b',
    '',
    'HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections',
    '',
  ].join('\r\n');

  it('is read', () => {
    expect(parseQuery(output)).toEqual({
      AutoConfigURL: 'REG_EXPAND_SZ http://wpad/a    b',
      ProxyServer: 'REG_SZ http=proxy.example.com:80;https=proxy.example.com:443',
      ProxyOverride: 'REG_SZ ',
      ProxyEnable: 'REG_DWORD 0x0',
    });
  });

  it('has null for what is not there', () => {
    const without = output.split('\r\n').filter(line => !line.includes('Proxy') && !line.includes('AutoConfig'));
    expect(Object.values(parseQuery(without.join('\r\n')))).toEqual([null, null, null, null]);
  });

  it('is refused where it is something else', () => {
    expect(() => parseQuery('ERROR: Invalid syntax.\r\n')).toThrow('something else than the Internet Settings');
  });
});

describe('gsettings and kreadconfig', () => {
  it('are read as they print', async () => {
    const values = await gnome(async ({ args }) => (args[2] === 'autoconfig-url' ? '"it\'s"\n' : "''\n")).read();
    expect(values['org.gnome.system.proxy autoconfig-url']).toBe('"it\'s"');
    const keys = await kde(async ({ args }) => (args[5] === 'httpProxy' ? ' a b \n' : `${args[7]}\n`), '', '5').read();
    expect(keys.httpProxy).toBe(' a b ');
    expect(keys.ProxyType).toBeNull();
  });

  it('an IPv6 address has brackets where a port is behind it', () => {
    const aim = { kind: 'socks', host: '::1', port: 1080, domains: [] } as const;
    const none = async () => '';
    expect(kde(none, '', '5').values(aim, {}).socksProxy).toBe('socks://[::1] 1080');
    expect(gnome(none).values(aim, {})['org.gnome.system.proxy.socks host']).toBe("'::1'");
  });
});

describe('which desktop', () => {
  const machine = { home: '/home/ada', run: async () => '' };

  it.each([
    ['darwin', undefined, 'macos'],
    ['win32', undefined, 'windows'],
    ['linux', 'KDE', 'kde'],
    ['linux', 'ubuntu:GNOME', 'gnome'],
    ['linux', 'X-Cinnamon', 'gnome'],
    ['linux', 'Budgie:GNOME', 'gnome'],
  ] as const)('%s with XDG_CURRENT_DESKTOP=%s is %s', (platform, XDG_CURRENT_DESKTOP, name) => {
    expect(detectDesktop({ ...machine, platform }, { XDG_CURRENT_DESKTOP })).toBe(name);
  });

  it.each([
    [undefined, 'XDG_CURRENT_DESKTOP is not set'],
    ['sway', 'XDG_CURRENT_DESKTOP is "sway"'],
  ])('%s is none', (XDG_CURRENT_DESKTOP, message) => {
    expect(() => detectDesktop({ ...machine, platform: 'linux' }, { XDG_CURRENT_DESKTOP })).toThrow(message);
  });

  it.each([
    ['linux', {}, '/home/ada/.local/state/podsocks/system-proxy.json'],
    ['linux', { XDG_STATE_HOME: '/state' }, '/state/podsocks/system-proxy.json'],
    ['linux', { XDG_STATE_HOME: 'state' }, '/home/ada/.local/state/podsocks/system-proxy.json'],
    ['darwin', {}, '/home/ada/Library/Application Support/podsocks/system-proxy.json'],
    ['win32', { LOCALAPPDATA: '/local' }, '/local/podsocks/system-proxy.json'],
  ] as const)('%s with %j remembers in %s', (platform, env, path) => {
    expect(statePath({ ...machine, platform }, env)).toBe(path);
  });
});

describe('what goes past the proxy', () => {
  it('does not take the names of the cluster', () => {
    const entries = ['*.local', '.LOCAL', 'local', '*local', '169.254/16', '<local>', '*.example.com', 'xlocal', '*'];
    expect(withoutClusterNames(entries, ['cluster.local'])).toEqual([
      '169.254/16',
      '<local>',
      '*.example.com',
      'xlocal',
      '*',
    ]);
    expect(withoutClusterNames(['*.example.com'], ['k8s.example.com'])).toEqual([]);
  });
});

describe('a command', () => {
  it('is printed so that it can be pasted, and without a password', () => {
    const command = { program: 'x', args: ["it's", 'a b', '', 'http://ada:secret@host/', 'plain=1'] };
    expect(commandLineText(command, 'gnome')).toBe(`x 'it'\\''s' 'a b' '' 'http://…@host/' plain=1`);
    expect(commandLineText({ program: 'reg.exe', args: ['HKCU\\A B', 'a"b'] }, 'windows')).toBe(
      'reg.exe "HKCU\\A B" "a\\"b"',
    );
  });

  it.each([`"http://ada:it's@host/x.pac"`, `'http://ada:"@host/x.pac'`, 'http://ada:a@b@host/x.pac'])(
    'has no password in its text, whatever characters are in it: %s',
    url => {
      expect(withoutPassword(url)).toMatch(/^["']?http:\/\/…@host\/x\.pac["']?$/);
    },
  );

  it('is run without a shell, and its failure says what it said', async () => {
    expect(await runCommand({ program: 'echo', args: ['$HOME; `id`'] })).toBe('$HOME; `id`\n');
    const failing = { program: 'node', args: ['-e', 'console.error("//ada:secret@host no"); process.exitCode = 3'] };
    await expect(runCommand(failing)).rejects.toThrow('node -e ended with code 3: //…@host no');
    await expect(runCommand({ program: 'no-such-program', args: [] })).rejects.toThrow('no program no-such-program');
  });
});
