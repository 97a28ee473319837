import { formatTarget } from '@podsocks/shared/wire/address';
import { withoutClusterNames } from './bypass-list.ts';
import type { Command, Desktop, ProxyAim, Values } from './desktop.ts';
import { failure, type RunCommand } from './run-command.ts';

const KEY = 'HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings';

/** In the order in which they are written. */
const NAMES = ['AutoConfigURL', 'ProxyServer', 'ProxyOverride', 'ProxyEnable'];

/** Windows keeps the settings that it has read until it is told, by a function that no program of its own calls. */
const TELL_WININET = [
  `$f = '[DllImport("wininet.dll")] public static extern bool InternetSetOption(IntPtr h, int o, IntPtr b, int l);'`,
  '$t = Add-Type -MemberDefinition $f -Name WinInet -Namespace Podsocks -PassThru',
  // INTERNET_OPTION_SETTINGS_CHANGED, INTERNET_OPTION_REFRESH
  '39, 37 | ForEach-Object { [void]$t::InternetSetOption([IntPtr]::Zero, $_, [IntPtr]::Zero, 0) }',
].join('; ');

/** Windows: the Internet Settings of the user. A value is type and data: `REG_SZ http://…`. */
export function windows(run: RunCommand): Desktop {
  return {
    name: 'windows',
    read: async () => parseQuery(await run({ program: 'reg.exe', args: ['query', KEY] })),
    values: internetSettings,
    inUse: ({ AutoConfigURL, ProxyEnable }) =>
      AutoConfigURL ? 'AutoConfigURL' : ProxyEnable === 'REG_DWORD 0x1' ? 'ProxyServer' : undefined,
    write: changes => NAMES.filter(name => Object.hasOwn(changes, name)).map(name => setting(name, changes[name]!)),
    announce: { program: 'powershell.exe', args: ['-NoProfile', '-NonInteractive', '-Command', TELL_WININET] },
  };
}

/** What `reg query` prints: four blanks, name, four blanks, type, four blanks, data, which may be empty. */
export function parseQuery(text: string): Values {
  if (!/^HKEY_CURRENT_USER\\.*Internet Settings\r?$/im.test(text)) {
    throw failure(
      `reg.exe query printed something else than the Internet Settings: ${JSON.stringify(text.slice(0, 80))}`,
    );
  }
  const values: Record<string, string | null> = Object.fromEntries(NAMES.map(name => [name, null]));
  for (const line of text.split(/\r?\n/)) {
    const [, name, type, data] = /^ {4}(\S.*?) {4}(REG_[A-Z_]+)(?: {4}(.*))?$/.exec(line) ?? [];
    const known = NAMES.find(candidate => candidate.toLowerCase() === name?.toLowerCase());
    if (known !== undefined) values[known] = `${type} ${data ?? ''}`;
  }
  return values;
}

function internetSettings({ kind, host, port, domains }: ProxyAim, base: Values): Values {
  const address = formatTarget({ host, port });
  if (kind === 'pac') return { AutoConfigURL: `REG_SZ http://${address}/proxy.pac` };
  return {
    // A script would be taken before the proxy.
    AutoConfigURL: null,
    ProxyServer: `REG_SZ socks=${address}`,
    ProxyEnable: 'REG_DWORD 0x1',
    ...bypass(base.ProxyOverride ?? null, domains),
  };
}

function bypass(value: string | null, domains: readonly string[]): Values {
  if (value === null) return {};
  const [type, data] = split(value);
  const entries = data.split(';');
  const rest = withoutClusterNames(entries, domains);
  return rest.length === entries.length ? {} : { ProxyOverride: `${type} ${rest.join(';')}` };
}

function setting(name: string, value: string | null): Command {
  if (value === null) return { program: 'reg.exe', args: ['delete', KEY, '/v', name, '/f'] };
  const [type, data] = split(value);
  return { program: 'reg.exe', args: ['add', KEY, '/v', name, '/t', type, '/d', data, '/f'] };
}

function split(value: string): [type: string, data: string] {
  const blank = value.indexOf(' ');
  return [value.slice(0, blank), value.slice(blank + 1)];
}
