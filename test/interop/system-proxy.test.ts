import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand as runReal } from '@podsocks/client/system-proxy/run-command';
import { addSystemProxyCommands } from '@podsocks/client/system-proxy/system-proxy-command';
import { runProgram } from '@podsocks/shared/runtime/lifecycle';
import { createProgram } from '@podsocks/shared/settings/program';
import { expect, onTestFinished, test } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';

// The tools of GNOME and KDE, with a home of their own: nothing of this machine's settings is read or changed.

class Session {
  readonly home = mkdtempSync(join(tmpdir(), 'podsocks-session-'));
  output = '';
  readonly #desktop: string;

  constructor(desktop: string) {
    this.#desktop = desktop;
    mkdirSync(join(this.home, 'config'));
    mkdirSync(join(this.home, 'runtime'), { mode: 0o700 });
    onTestFinished(() => rmSync(this.home, { recursive: true, force: true }));
  }

  /** Runs one of their tools: each time in a D-Bus session of its own, so that only what is on disk remains. */
  readonly tool = (program: string, args: readonly string[]): Promise<string> => {
    const variables = [
      `HOME=${this.home}`,
      `XDG_CONFIG_HOME=${this.home}/config`,
      `XDG_RUNTIME_DIR=${this.home}/runtime`,
      `PATH=${process.env.PATH}`,
      'LC_ALL=C.UTF-8',
    ];
    const session = ['-i', ...variables, pathOf('dbus-run-session'), '--', program, ...args];
    return runReal({ program: 'env', args: session });
  };

  async systemProxy(...argv: readonly string[]): Promise<number> {
    const write = (text: string) => {
      this.output += text;
    };
    const surroundings = { stdout: { write }, stderr: { write }, events: process };
    const program = createProgram({ name: 'ss-local', version: '0.0.0', summary: '' }, {}, surroundings.stdout);
    const env = {
      XDG_CURRENT_DESKTOP: this.#desktop,
      XDG_CONFIG_HOME: `${this.home}/config`,
      KDE_SESSION_VERSION: '5',
    };
    addSystemProxyCommands(program, env, surroundings, {
      machine: { platform: 'linux', home: this.home, run: ({ program: name, args }) => this.tool(name, args) },
      localEndpoint: () => ({ host: '127.0.0.1', port: 1080 }),
      fetchStatus: async () => undefined,
      now: () => new Date(),
    });
    return runProgram(program, ['system-proxy', ...argv], surroundings);
  }
}

describeWith(['gsettings', 'dbus-run-session'], 'system-proxy, and the settings of GNOME', () => {
  const read = (session: Session) => session.tool('gsettings', ['list-recursively', 'org.gnome.system.proxy']);

  test.each(['--pac', '--socks'])('on %s is what GNOME has then, and off leaves no trace', async kind => {
    const session = new Session('GNOME');
    const before = await read(session);
    expect(before).toContain("org.gnome.system.proxy mode 'none'");

    expect(await session.systemProxy('on', '--force', kind), session.output).toBe(0);
    const during = await read(session);
    const expected =
      kind === '--pac'
        ? ["proxy mode 'auto'", "proxy autoconfig-url 'http://127.0.0.1:1080/proxy.pac'"]
        : ["proxy mode 'manual'", "proxy.socks host '127.0.0.1'", 'proxy.socks port 1080'];
    for (const line of expected) expect(during).toContain(`org.gnome.system.${line}`);
    expect(await session.systemProxy('status')).toBe(0);
    expect(session.output).toContain(`gnome: on (${kind.slice(2)}), since`);

    expect(await session.systemProxy('off'), session.output).toBe(0);
    expect(await read(session)).toBe(before);
    // The database is there still; what is in it is not.
    expect(readFileSync(join(session.home, 'config/dconf/user'), 'latin1')).not.toMatch(/autoconfig|mode|host|127/);
    expect(existsSync(join(session.home, '.local/state/podsocks'))).toBe(false);
  });

  test('off puts back what somebody had', async () => {
    const session = new Session('GNOME');
    for (const setting of [
      ['org.gnome.system.proxy', 'autoconfig-url', 'it\'s \\ "quoted" ünïcode'],
      ['org.gnome.system.proxy', 'mode', "'manual'"],
      ['org.gnome.system.proxy.http', 'host', "'proxy.example.com'"],
      ['org.gnome.system.proxy.socks', 'port', '9050'],
    ]) {
      await session.tool('gsettings', ['set', ...setting]);
    }
    const before = await read(session);
    for (const kind of ['--pac', '--socks', '--pac']) expect(await session.systemProxy('on', '--force', kind)).toBe(0);
    expect(await read(session)).not.toBe(before);
    expect(await session.systemProxy('off'), session.output).toBe(0);
    expect(await read(session)).toBe(before);
  });
});

describeWith(['kwriteconfig5', 'kreadconfig5', 'dbus-run-session'], 'system-proxy, and the settings of KDE', () => {
  const path = (session: Session) => join(session.home, 'config/kioslaverc');

  test.each(['--pac', '--socks'])('on %s is what KDE has then, and off leaves no trace', async kind => {
    const session = new Session('KDE');
    expect(await session.systemProxy('on', '--force', kind), session.output).toBe(0);
    const expected =
      kind === '--pac'
        ? ['ProxyType=2', 'Proxy Config Script=http://127.0.0.1:1080/proxy.pac']
        : ['ProxyType=1', 'socksProxy=socks://127.0.0.1 1080'];
    const during = readFileSync(path(session), 'utf8').trim().split('\n');
    expect(during).toEqual(expect.arrayContaining(['[Proxy Settings]', ...expected]));
    expect(session.output).not.toContain('warning');

    expect(await session.systemProxy('off'), session.output).toBe(0);
    expect(existsSync(path(session))).toBe(false);
  });

  test('off puts back what somebody had, and leaves the rest alone', async () => {
    const session = new Session('KDE');
    const own = [
      '[Proxy Settings]',
      'NoProxyFor=localhost',
      'Proxy Config Script=',
      'ProxyType=1',
      'socksProxy=\\sa b\\s',
    ];
    writeFileSync(path(session), `[Other]\nkey=1\n\n${own.join('\n')}\nhttpProxy=http://proxy.example.com 3128\n`);
    const lines = () => readFileSync(path(session), 'utf8').trim().split('\n').sort();
    const before = lines();
    for (const kind of ['--pac', '--socks']) expect(await session.systemProxy('on', '--force', kind)).toBe(0);
    expect(lines()).not.toEqual(before);
    expect(await session.systemProxy('off'), session.output).toBe(0);
    expect(lines()).toEqual(before);
  });
});
