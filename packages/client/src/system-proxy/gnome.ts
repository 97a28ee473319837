import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command, Desktop, ProxyAim, Values } from './desktop.ts';
import type { RunCommand } from './run-command.ts';

/**
 * Schema and key, in the order in which they are written: `mode` last, so that nothing is in force before it is whole.
 * With each the value that it has where nobody has set it (gsettings-desktop-schemas).
 */
const DEFAULTS: Values = {
  'org.gnome.system.proxy autoconfig-url': "''",
  'org.gnome.system.proxy.http host': "''",
  'org.gnome.system.proxy.https host': "''",
  'org.gnome.system.proxy.ftp host': "''",
  'org.gnome.system.proxy.socks host': "''",
  'org.gnome.system.proxy.socks port': '0',
  'org.gnome.system.proxy mode': "'none'",
};

const MODE = 'org.gnome.system.proxy mode';

/** GNOME, and the desktops that share its settings. Values are GVariant text, as `gsettings get` prints it. */
export function gnome(run: RunCommand): Desktop {
  return {
    name: 'gnome',
    async read() {
      const values: Record<string, string> = {};
      for (const key of Object.keys(DEFAULTS)) {
        values[key] = (await run({ program: 'gsettings', args: ['get', ...key.split(' ')] })).trim();
      }
      return values;
    },
    values: ({ kind, host, port }: ProxyAim) =>
      kind === 'pac'
        ? {
            'org.gnome.system.proxy autoconfig-url': gvariant(`http://${formatTarget({ host, port })}/proxy.pac`),
            'org.gnome.system.proxy mode': "'auto'",
          }
        : {
            // These would be taken before SOCKS.
            'org.gnome.system.proxy.http host': "''",
            'org.gnome.system.proxy.https host': "''",
            'org.gnome.system.proxy.ftp host': "''",
            'org.gnome.system.proxy.socks host': gvariant(host),
            'org.gnome.system.proxy.socks port': `${port}`,
            'org.gnome.system.proxy mode': "'manual'",
          },
    inUse: values => (values[MODE] === "'none'" ? undefined : `mode ${values[MODE]}`),
    write: (changes, _, again) =>
      Object.keys(DEFAULTS)
        .filter(key => Object.hasOwn(changes, key))
        .map(key => setting(key, changes[key]!, again)),
  };
}

/** What nobody had set is reset, which leaves no trace; an administrator's default is another one, and then it is set. */
function setting(key: string, value: string, again: boolean): Command {
  const [schema, name] = key.split(' ') as [string, string];
  const isDefault = value === DEFAULTS[key] && !again;
  return { program: 'gsettings', args: isDefault ? ['reset', schema, name] : ['set', schema, name, value] };
}

function gvariant(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
