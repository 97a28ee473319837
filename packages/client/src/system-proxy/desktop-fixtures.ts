import type { Command, DesktopName, Values } from './desktop.ts';
import { failure, NotInstalled, type RunCommand } from './run-command.ts';

/** A desktop's settings and the tools that read and write them, which print what the real ones do. */
export interface FakeDesktop {
  readonly name: DesktopName;
  readonly run: RunCommand;
  /** Every command that changed something, or wanted to. */
  readonly written: Command[];
  /** Settings by the tool's own names, to look at and to change as a user would. */
  readonly settings: Map<string, string>;
  /** Is asked before each command that writes; may throw. */
  refuse: (command: Command) => void;
}

/** The tools of a desktop with these settings. */
export function fakeDesktop(name: DesktopName, settings: Readonly<Record<string, string>> = {}): FakeDesktop {
  const store = new Map(Object.entries(settings));
  const written: Command[] = [];
  const fake: FakeDesktop = {
    name,
    written,
    settings: store,
    refuse: () => {},
    run: async command => {
      const { program, args } = command;
      const tool = TOOLS[name][program];
      if (tool === undefined) throw new NotInstalled(program);
      if (isWriting(command)) {
        written.push(command);
        fake.refuse(command);
      }
      return tool(args, store);
    },
  };
  return fake;
}

function isWriting({ program, args }: Command): boolean {
  return !/^kreadconfig/.test(program) && !/^(get|query$|-get|-list)/.test(args[0] ?? '');
}

type Tool = (args: readonly string[], store: Map<string, string>) => string;

const GSETTINGS_DEFAULTS: Values = {
  'org.gnome.system.proxy mode': "'none'",
  'org.gnome.system.proxy autoconfig-url': "''",
  'org.gnome.system.proxy.http host': "''",
  'org.gnome.system.proxy.https host': "''",
  'org.gnome.system.proxy.ftp host': "''",
  'org.gnome.system.proxy.socks host': "''",
  'org.gnome.system.proxy.socks port': '0',
};

const gsettings: Tool = ([verb, schema, key, value], store) => {
  const name = `${schema} ${key}`;
  if (GSETTINGS_DEFAULTS[name] === undefined) throw failure(`gsettings: No such key “${key}”`);
  // An administrator may have defaults of their own.
  if (verb === 'get') return `${store.get(name) ?? store.get(`default ${name}`) ?? GSETTINGS_DEFAULTS[name]}\n`;
  if (verb === 'reset') store.delete(name);
  else store.set(name, value!);
  return '';
};

const kreadconfig: Tool = ([, , , , , key, , fallback], store) => `${store.get(key!) ?? fallback}\n`;

const kwriteconfig: Tool = ([, , , , , key, what, value], store) => {
  if (what === '--delete') store.delete(key!);
  else store.set(key!, value!);
  return '';
};

const REG_KEY = 'HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings';

const reg: Tool = (args, store) => {
  const [verb, , , name, , type, , data] = args;
  if (verb === 'query') {
    const values = [...store].map(([key, value]) => `    ${key}    ${value.replace(' ', '    ')}\r\n`);
    return `\r\n${REG_KEY}\r\n${values.join('')}\r\n${REG_KEY}\\Connections\r\n${REG_KEY}\\ZoneMap\r\n`;
  }
  if (verb === 'delete') {
    if (!store.delete(name!)) throw failure('reg.exe delete ended with code 1: ERROR: The system was unable to find …');
  } else store.set(name!, `${type} ${data}`);
  return 'The operation completed successfully.\r\n\r\n';
};

const yesNo = (state: string | undefined) => (state === 'on' ? 'Yes' : 'No');

/** Keys: `Wi-Fi/autoproxyurl`; a service is there when it has `Wi-Fi/enabled`. */
const networksetup: Tool = ([verb, service, ...values], store) => {
  const get = (key: string) => store.get(`${service}/${key}`);
  const set = (key: string, value: string) => void store.set(`${service}/${key}`, value);
  const what = verb!.replace(/^-[gs]et/, '');
  if (verb === '-listallnetworkservices') {
    const services = [...store.keys()].filter(key => key.endsWith('/enabled'));
    const lines = services.map(key => `${store.get(key) === 'yes' ? '' : '*'}${key.replace(/\/enabled$/, '')}\n`);
    return `An asterisk (*) denotes that a network service is disabled.\n${lines.join('')}`;
  }
  if (get('enabled') === undefined) {
    return `${service} is not a recognized network service.\n** Error: The parameters were not valid.\n`;
  }
  switch (verb) {
    case '-getautoproxyurl':
      return `URL: ${get('autoproxyurl') || '(null)'}\nEnabled: ${yesNo(get('autoproxystate'))}\n`;
    case '-getproxyautodiscovery':
      return `Auto Proxy Discovery: ${get('proxyautodiscovery') === 'on' ? 'On' : 'Off'}\n`;
    case '-getproxybypassdomains':
      return get('proxybypassdomains')
        ? `${get('proxybypassdomains')!.split(' ').join('\n')}\n`
        : `There aren't any bypass domains set on ${service}.\n`;
    case '-getwebproxy':
    case '-getsecurewebproxy':
    case '-getsocksfirewallproxy': {
      const [server = '', port = '0'] = (get(what) || '').split(' ');
      const authenticated = get(`${what}authenticated`) === 'on' ? 1 : 0;
      const enabled = yesNo(get(`${what}state`));
      return `Enabled: ${enabled}\nServer: ${server}\nPort: ${port}\nAuthenticated Proxy Enabled: ${authenticated}\n`;
    }
    case '-setautoproxyurl':
      set('autoproxyurl', values[0]!);
      set('autoproxystate', 'on');
      return '';
    case '-setsocksfirewallproxy':
      set('socksfirewallproxy', values.join(' ').trim());
      set('socksfirewallproxystate', 'on');
      return '';
    case '-setproxybypassdomains':
      set('proxybypassdomains', values[0] === 'Empty' ? '' : values.join(' '));
      return '';
    default:
      set(what, values[0]!);
      return '';
  }
};

const silent: Tool = () => '';

const TOOLS: Readonly<Record<DesktopName, Readonly<Record<string, Tool>>>> = {
  gnome: { gsettings },
  kde: { kreadconfig5: kreadconfig, kwriteconfig5: kwriteconfig, 'dbus-send': silent },
  macos: { networksetup },
  windows: { 'reg.exe': reg, 'powershell.exe': silent },
};

/** Settings as somebody may have them, with a proxy of their company. */
export const COMPANY: Readonly<Record<DesktopName, Readonly<Record<string, string>>>> = {
  gnome: {
    'org.gnome.system.proxy mode': "'manual'",
    'org.gnome.system.proxy.http host': "'proxy.example.com'",
    'org.gnome.system.proxy autoconfig-url': "'http://ada:secret@wpad.example.com/wpad.dat'",
  },
  kde: { ProxyType: '1', httpProxy: 'http://proxy.example.com 3128', 'Proxy Config Script': '' },
  macos: {
    'Wi-Fi/enabled': 'yes',
    'Wi-Fi/autoproxyurl': 'http://wpad.example.com/wpad.dat',
    'Wi-Fi/autoproxystate': 'on',
    'Wi-Fi/proxybypassdomains': '*.local 169.254/16',
    'USB 10/100/1000 LAN/enabled': 'yes',
    'USB 10/100/1000 LAN/proxyautodiscovery': 'on',
    'USB 10/100/1000 LAN/webproxy': 'proxy.example.com 3128',
    'USB 10/100/1000 LAN/webproxystate': 'on',
    'USB 10/100/1000 LAN/socksfirewallproxy': 'socks.example.com 1080',
    'Thunderbolt Bridge/enabled': 'no',
  },
  windows: {
    ProxyEnable: 'REG_DWORD 0x1',
    ProxyServer: 'REG_SZ proxy.example.com:3128',
    ProxyOverride: 'REG_SZ *.local;10.*;<local>',
    User_Agent: 'REG_SZ Mozilla/5.0 (compatible; MSIE 9.0; Win32)',
    'Zones Upgrade': 'REG_BINARY 0A0B',
  },
};
