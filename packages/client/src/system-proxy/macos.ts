import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import { withoutClusterNames } from './bypass-list.ts';
import type { Command, Desktop, ProxyAim, Values } from './desktop.ts';
import { failure, type RunCommand } from './run-command.ts';

/**
 * macOS: the proxies of every network service that is not disabled, or of those that are named. A setting is the
 * service, a slash, and what networksetup calls it behind `-set`.
 *
 * @param only names of services, of which all have to be there; empty: all.
 */
export function macos(run: RunCommand, only: readonly string[]): Desktop {
  const networksetup = (...args: readonly string[]) => run({ program: 'networksetup', args });
  return {
    name: 'macos',
    async read(groups) {
      const listed = parseServices(await networksetup('-listallnetworkservices'));
      // One that was disabled since is put back, too.
      const services = groups
        ? listed.map(({ name }) => name).filter(name => groups.includes(name))
        : chosen(listed, only);
      const values: Record<string, string | null> = {};
      for (const service of services) {
        const ask = (what: string) => networksetup(`-get${what}`, service);
        const set = (name: string, value: string | null) => {
          values[`${service}/${name}`] = value;
        };
        const pac = fieldsOf(await ask('autoproxyurl'), ['URL', 'Enabled']);
        set('autoproxyurl', pac.URL === '(null)' || pac.URL === '' ? null : pac.URL!);
        set('autoproxystate', onOff(pac.Enabled));
        const discovery = fieldsOf(await ask('proxyautodiscovery'), ['Auto Proxy Discovery']);
        set('proxyautodiscovery', onOff(discovery['Auto Proxy Discovery']));
        const socks = fieldsOf(await ask('socksfirewallproxy'), PROXY_FIELDS);
        set('socksfirewallproxy', socks.Server === '' ? null : `${socks.Server} ${socks.Port}`);
        set('socksfirewallproxystate', onOff(socks.Enabled));
        set(AUTHENTICATED, onOff(socks['Authenticated Proxy Enabled']));
        for (const proxy of ['webproxy', 'securewebproxy']) {
          set(`${proxy}state`, onOff(fieldsOf(await ask(proxy), PROXY_FIELDS).Enabled));
        }
        set('proxybypassdomains', parseBypassDomains(await ask('proxybypassdomains')));
      }
      return values;
    },
    values: (aim, base) => Object.assign({}, ...servicesIn(base).map(service => serviceValues(service, aim, base))),
    write: (changes, current, again) =>
      servicesIn(changes).flatMap(service => serviceCommands(service, changes, current, again)),
    inUse: values => Object.keys(values).find(key => IN_USE.test(key) && values[key] === 'on'),
    groupOf: serviceOf,
  };
}

/** Only read: it needs a name and a password, which networksetup does not tell. */
const AUTHENTICATED = 'socksauthenticated';

const IN_USE = /\/(auto|web|secureweb|socksfirewall)proxystate$/;

const PROXY_FIELDS = ['Enabled', 'Server', 'Port', 'Authenticated Proxy Enabled'];

/** Names may have slashes: `USB 10/100/1000 LAN`. */
const serviceOf = (key: string): string => key.slice(0, key.lastIndexOf('/'));

const servicesIn = (values: Values): readonly string[] => [...new Set(Object.keys(values).map(serviceOf))];

/** One service in a line, behind a line of explanation; an asterisk is in front of those that are disabled. */
export function parseServices(text: string): { readonly name: string; readonly isDisabled: boolean }[] {
  const [head, ...lines] = text.split('\n').filter(line => line.trim() !== '');
  if (!head?.startsWith('An asterisk')) throw unexpected('-listallnetworkservices', text);
  return lines.map(line => ({ name: line.replace(/^\*/, ''), isDisabled: line.startsWith('*') }));
}

function chosen(services: ReturnType<typeof parseServices>, only: readonly string[]): readonly string[] {
  const names = services.map(({ name }) => name);
  const unknown = only.find(name => !names.includes(name));
  if (unknown !== undefined) {
    const mend = `give one of ${names.map(name => JSON.stringify(name)).join(', ')}`;
    throw new PodsocksError('ERR_USAGE', `--service: there is no network service ${JSON.stringify(unknown)}; ${mend}`);
  }
  return only.length > 0
    ? [...new Set(only)]
    : services.filter(({ isDisabled }) => !isDisabled).map(({ name }) => name);
}

/** `Name: value` in each line. */
function fieldsOf(text: string, names: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z][A-Za-z ]*?):(.*)$/.exec(line) ?? [];
    if (name !== undefined) fields[name] = value!.trim();
  }
  if (names.some(name => fields[name] === undefined)) throw unexpected(names[0]!, text);
  return fields;
}

/** One in a line, or a sentence that there are none: the only lines with blanks. */
function parseBypassDomains(text: string): string | null {
  const lines = text.split('\n').map(line => line.trim());
  return lines.filter(line => line !== '' && !line.includes(' ')).join(' ') || null;
}

const onOff = (text: string | undefined): 'on' | 'off' => (/^(yes|on|1)$/i.test(text ?? '') ? 'on' : 'off');

function serviceValues(service: string, { kind, host, port, domains }: ProxyAim, base: Values): Values {
  const values: Record<string, string | null> = {};
  const was = (name: string) => base[`${service}/${name}`] ?? null;
  const set = (name: string, value: string | null) => {
    values[`${service}/${name}`] = value;
  };
  // These are taken before SOCKS, and a found script before ours. They are switched off only, and keep what they have.
  const rivals = [
    'proxyautodiscovery',
    ...(kind === 'pac' ? [] : ['autoproxystate', 'webproxystate', 'securewebproxystate']),
  ];
  for (const rival of rivals) if (was(rival) === 'on') set(rival, 'off');
  if (kind === 'pac') {
    set('autoproxyurl', `http://${formatTarget({ host, port })}/proxy.pac`);
    set('autoproxystate', 'on');
  } else {
    if (was(AUTHENTICATED) === 'on') {
      throw new PodsocksError(
        'ERR_CONFIG',
        `${JSON.stringify(service)} has a SOCKS proxy with a password, which could not be put back; leave out --socks`,
      );
    }
    set('socksfirewallproxy', `${host} ${port}`);
    set('socksfirewallproxystate', 'on');
  }
  const bypassed = was('proxybypassdomains')?.split(' ') ?? [];
  const rest = withoutClusterNames(bypassed, domains);
  if (rest.length < bypassed.length) set('proxybypassdomains', rest.join(' ') || null);
  return values;
}

/** Setting a URL or a proxy switches it on, so its state comes behind. */
function serviceCommands(service: string, changes: Values, current: Values, again: boolean): readonly Command[] {
  const commands: Command[] = [];
  const add = (what: string, ...args: readonly string[]) =>
    void commands.push({ program: 'networksetup', args: [`-set${what}`, service, ...args] });
  const changed = (name: string) => changes[`${service}/${name}`];
  const wanted = (name: string) => changed(name) ?? current[`${service}/${name}`] ?? 'off';

  const domains = changed('proxybypassdomains');
  if (domains !== undefined) add('proxybypassdomains', ...(domains?.split(' ') ?? ['Empty']));
  for (const state of ['proxyautodiscovery', 'webproxystate', 'securewebproxystate']) {
    const value = changed(state);
    if (value) add(state, value);
  }
  for (const [value, state] of [
    ['autoproxyurl', 'autoproxystate'],
    ['socksfirewallproxy', 'socksfirewallproxystate'],
  ] as const) {
    const text = changed(value);
    if (text !== undefined)
      add(value, ...(value === 'autoproxyurl' ? [text ?? nothing(again)] : (text?.split(' ') ?? ['', ''])));
    if (text !== undefined || changed(state)) add(state, wanted(state));
  }
  return commands;
}

/** networksetup cannot take a URL away. Where it refuses an empty one, it is given what it prints where there is none. */
const nothing = (again: boolean): string => (again ? '(null)' : '');

function unexpected(what: string, text: string): PodsocksError {
  return failure(`networksetup printed something else than expected (${what}): ${JSON.stringify(text.slice(0, 200))}`);
}
