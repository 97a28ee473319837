import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { DESKTOPS, type Desktop, type DesktopName } from './desktop.ts';
import { gnome } from './gnome.ts';
import { kde } from './kde.ts';
import { macos } from './macos.ts';
import { type RunCommand, runCommand } from './run-command.ts';
import { windows } from './windows.ts';

/** What of the machine the settings of a desktop are reached by; a test has others. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly run: RunCommand;
}

export const thisMachine = (): Machine => ({ platform: process.platform, home: homedir(), run: runCommand });

type Environment = Readonly<Record<string, string | undefined>>;

/** Names in XDG_CURRENT_DESKTOP of desktops that read the settings of GNOME. */
const LIKE_GNOME = ['GNOME', 'UNITY', 'X-CINNAMON', 'CINNAMON', 'BUDGIE', 'MATE', 'PANTHEON', 'UKUI'];

/**
 * Which desktop this is: by the system, and on Linux by XDG_CURRENT_DESKTOP.
 *
 * @throws PodsocksError ERR_USAGE where it is none that has proxy settings which are known here.
 */
export function detectDesktop({ platform }: Machine, env: Environment): DesktopName {
  if (platform === 'darwin') return 'macos';
  if (platform === 'win32') return 'windows';
  const names = (env.XDG_CURRENT_DESKTOP ?? '').toUpperCase().split(':');
  if (names.includes('KDE')) return 'kde';
  if (names.some(name => LIKE_GNOME.includes(name))) return 'gnome';
  const given = env.XDG_CURRENT_DESKTOP ? `is ${JSON.stringify(env.XDG_CURRENT_DESKTOP)}` : 'is not set';
  const mend = `say whose settings to change: --desktop ${DESKTOPS.join('|')}, or set programs one by one: ss-local env`;
  throw new PodsocksError('ERR_USAGE', `system-proxy: which desktop is this? XDG_CURRENT_DESKTOP ${given}; ${mend}`);
}

/**
 * The desktop of that name.
 *
 * @param services network services, on macOS.
 * @throws PodsocksError ERR_USAGE where services are named for a desktop that has none.
 */
export function desktopNamed(
  name: DesktopName,
  { run, home }: Machine,
  env: Environment,
  services: readonly string[],
): Desktop {
  if (services.length > 0 && name !== 'macos') {
    throw new PodsocksError('ERR_USAGE', `--service: ${name} has no network services; leave it out`);
  }
  switch (name) {
    case 'gnome':
      return gnome(run);
    case 'kde':
      return kde(run, absolute(env.XDG_CONFIG_HOME) ?? join(home, '.config'), env.KDE_SESSION_VERSION);
    case 'macos':
      return macos(run, services);
    case 'windows':
      return windows(run);
  }
}

/** Where what was there is remembered. */
export function statePath({ platform, home }: Machine, env: Environment): string {
  return join(stateHome(platform, home, env), 'podsocks', 'system-proxy.json');
}

function stateHome(platform: NodeJS.Platform, home: string, env: Environment): string {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support');
  if (platform === 'win32') return env.LOCALAPPDATA || join(home, 'AppData', 'Local');
  return absolute(env.XDG_STATE_HOME) ?? join(home, '.local', 'state');
}

/** The XDG Base Directory Specification wants relative paths to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
