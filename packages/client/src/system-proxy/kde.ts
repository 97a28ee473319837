import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command, Desktop, ProxyAim, Values } from './desktop.ts';
import { NotInstalled, type RunCommand } from './run-command.ts';

/** Of kioslaverc, in the order in which they are written: ProxyType last, so that nothing is in force before it is whole. */
const KEYS = ['Proxy Config Script', 'httpProxy', 'httpsProxy', 'ftpProxy', 'socksProxy', 'ProxyType'];

/** ProxyType of KIO (kprotocolmanager.h). */
const MANUAL = '1';
const PAC = '2';

/** What kreadconfig prints of a key that is not there: no value of a proxy setting. */
const UNSET = 'ss-local: not set';

const where = (key: string) => ['--file', 'kioslaverc', '--group', 'Proxy Settings', '--key', key];

/**
 * KDE Plasma 5 and 6: their tools are named with the version.
 *
 * @param configHome where kioslaverc is.
 * @param plasma KDE_SESSION_VERSION, which says whose tools are the right ones where both are installed.
 */
export function kde(run: RunCommand, configHome: string, plasma: string | undefined): Desktop {
  const versions = plasma === '5' ? ['5', '6'] : ['6', '5'];
  let version = versions[0]!;

  const readKey = async (key: string) => {
    const printed = await run({ program: `kreadconfig${version}`, args: [...where(key), '--default', UNSET] });
    const value = printed.replace(/\r?\n$/, '');
    return value === UNSET ? null : value;
  };

  const choose = async () => {
    try {
      await readKey('ProxyType');
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error;
      version = versions[1]!;
    }
  };

  return {
    name: 'kde',
    async read() {
      await choose();
      const values: Record<string, string | null> = {};
      for (const key of KEYS) values[key] = await readKey(key);
      return values;
    },
    values: kioValues,
    inUse: ({ ProxyType: type }) => (type === null || type === '0' ? undefined : `ProxyType ${type}`),
    write: changes =>
      KEYS.filter(key => Object.hasOwn(changes, key)).map(key => setting(`kwriteconfig${version}`, key, changes[key]!)),
    // Programs of KDE keep what they have read until they hear this.
    announce: {
      program: 'dbus-send',
      args: ['--type=signal', '/KIO/Scheduler', 'org.kde.KIO.Scheduler.reparseSlaveConfiguration', 'string:'],
    },
    mayStayEmpty: `${configHome}/kioslaverc`,
  };
}

function kioValues({ kind, host, port }: ProxyAim): Values {
  if (kind === 'pac') {
    return { 'Proxy Config Script': `http://${formatTarget({ host, port })}/proxy.pac`, ProxyType: PAC };
  }
  // The others would be taken before SOCKS. KDE writes a blank where others have the colon.
  const address = formatTarget({ host, port }).replace(/:(\d+)$/, ' $1');
  return { httpProxy: null, httpsProxy: null, ftpProxy: null, socksProxy: `socks://${address}`, ProxyType: MANUAL };
}

function setting(program: string, key: string, value: string | null): Command {
  const last = value === null ? ['--delete', ''] : ['--', value];
  return { program, args: [...where(key), ...last] };
}
