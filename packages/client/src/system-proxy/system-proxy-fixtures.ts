import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@podsocks/shared/runtime/lifecycle';
import { createProgram } from '@podsocks/shared/settings/program';
import type { ClientStatus } from '../status/client-status.ts';
import { DESKTOPS, type DesktopName, PROXY_KINDS } from './desktop.ts';
import { COMPANY, type FakeDesktop, fakeDesktop } from './desktop-fixtures.ts';
import { statePath } from './detect.ts';
import { addSystemProxyCommands } from './system-proxy-command.ts';

export const PLATFORMS: Readonly<Record<DesktopName, { platform: NodeJS.Platform; env: Record<string, string> }>> = {
  gnome: { platform: 'linux', env: { XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' } },
  kde: { platform: 'linux', env: { XDG_CURRENT_DESKTOP: 'KDE', KDE_SESSION_VERSION: '5' } },
  macos: { platform: 'darwin', env: {} },
  windows: { platform: 'win32', env: {} },
};

/** A status as a running ss-local would give it; only what the commands look at. */
export function clientStatus(parts: Partial<ClientStatus> = {}): ClientStatus {
  const route = { mode: 'auto', domains: ['cluster.local'], networks: ['10.96.0.0/12'] };
  return { asksForPassword: false, route, servers: [], ...parts } as unknown as ClientStatus;
}

/** Every desktop, and every way to be on. */
export const EACH = DESKTOPS.flatMap(name => PROXY_KINDS.map(kind => [name, kind] as const));

/** On macOS what was never set is empty after it was. */
export const filled = (settings: Record<string, string>) =>
  Object.fromEntries(Object.entries(settings).filter(([key, value]) => !(key.includes('/') && /^(off|)$/.test(value))));

/** The command line on a machine with that desktop. Everything that it prints is in `output`. */
export class SystemProxyRun {
  readonly fake: FakeDesktop;
  readonly home = mkdtempSync(join(tmpdir(), 'podsocks-system-proxy-'));
  readonly statePath: string;
  /** What asking the running ss-local leads to. */
  status: ClientStatus | Error | undefined = clientStatus();
  output = '';
  readonly #name: DesktopName;

  constructor(name: DesktopName, settings: Readonly<Record<string, string>> = COMPANY[name]) {
    this.#name = name;
    this.fake = fakeDesktop(name, settings);
    this.statePath = statePath({ ...PLATFORMS[name], home: this.home, run: this.fake.run }, {});
  }

  /** @returns the exit code. */
  async run(...argv: readonly string[]): Promise<number> {
    const { platform, env } = PLATFORMS[this.#name];
    const write = (text: string) => {
      this.output += text.replaceAll(this.home, '~');
    };
    const surroundings = { stdout: { write }, stderr: { write }, events: process };
    const program = createProgram({ name: 'ss-local', version: '0.0.0', summary: '' }, {}, surroundings.stdout);
    addSystemProxyCommands(program, env, surroundings, {
      machine: { platform, home: this.home, run: this.fake.run },
      localEndpoint: () => ({ host: '127.0.0.1', port: 1080 }),
      fetchStatus: async () => {
        if (this.status instanceof Error) throw this.status;
        return this.status;
      },
      now: () => new Date('2026-01-31T18:00:00Z'),
    });
    return runProgram(program, ['system-proxy', ...argv], surroundings);
  }

  settings(): Record<string, string> {
    return Object.fromEntries([...this.fake.settings].sort());
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
