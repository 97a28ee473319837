import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Endpoint } from '../net/acceptor.ts';
import { createLogger } from '../runtime/log.ts';
import { fakePlugin } from './fake-plugin-fixtures.ts';
import { keepPlugin, type Plugin, type PluginOptions, startPlugin } from './plugin.ts';
import { freeEndpoint, isAccepting } from './port.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly pid?: number;
}

let lines: Line[] = [];
afterEach(() => {
  lines = [];
});
const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
const log = createLogger({ level: 'debug', format: 'json', name: 'test', destination });
const said = (part: string) => lines.find(({ msg }) => msg.includes(part));

const LOOPBACK = { host: '127.0.0.1', port: 0 };

/** Sends back what it gets. */
async function startEcho(): Promise<Endpoint> {
  const server = createServer(socket => socket.on('error', () => {}).pipe(socket));
  onTestFinished(() => void server.close());
  return listening(server);
}

async function listening(server: Server): Promise<Endpoint> {
  server.listen(LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { host: '127.0.0.1', port };
}

function options(given: Partial<PluginOptions> & { readonly remote: Endpoint }): PluginOptions {
  return { command: fakePlugin().path, environment: {}, from: '--plugin', role: 'client', log, ...given };
}

async function start(given: Parameters<typeof options>[0]): Promise<Plugin> {
  const plugin = await startPlugin(options(given));
  onTestFinished(() => plugin.close());
  return plugin;
}

async function ask(endpoint: Endpoint, question: string): Promise<string> {
  const socket = connect(endpoint);
  try {
    socket.write(question);
    const [answer] = await once(socket, 'data');
    return String(answer);
  } finally {
    socket.destroy();
  }
}

/** Makes a fake plugin end; resolves when it has. */
async function kill(endpoint: Endpoint, word: string): Promise<void> {
  const socket = connect(endpoint).on('error', () => {});
  socket.write(word);
  await new Promise(resolve => socket.once('close', resolve).resume());
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a plugin', () => {
  it('of a client listens on a loopback port of its own and forwards to the server', async () => {
    const plugin = await start({ remote: await startEcho() });
    expect(plugin.obstacle).toBeUndefined();
    expect(await ask(plugin.endpoint(), 'hello')).toBe('hello');
    expect(said('the plugin fake-plugin takes what is for 127.0.0.1:')).toMatchObject({ level: 'info' });
  });

  it('of a server listens where clients connect to and forwards to the server', async () => {
    const remote = await freeEndpoint(LOOPBACK);
    const plugin = await start({ role: 'server', remote, local: await startEcho(), options: 'server' });
    expect(plugin.endpoint()).toEqual(remote);
    expect(await ask(remote, 'hello')).toBe('hello');
    expect(said(`the plugin fake-plugin listens on 127.0.0.1:${remote.port}`)).toBeDefined();
  });

  it('is told by its environment, never by its arguments', async () => {
    const remote = { host: 'server.example', port: 8388 };
    const environment = { HOME: '/home/ada' };
    const file = join(fakePlugin().folder, 'told');
    const options = `tell=${file};a=b\\;c`;
    const plugin = await start({ remote, environment, options });
    const { env, argv } = JSON.parse(readFileSync(file, 'utf8'));
    expect(env).toMatchObject({
      HOME: '/home/ada',
      SS_REMOTE_HOST: 'server.example',
      SS_REMOTE_PORT: '8388',
      SS_LOCAL_HOST: '127.0.0.1',
      SS_LOCAL_PORT: `${plugin.endpoint().port}`,
      SS_PLUGIN_OPTIONS: options,
    });
    expect(argv).toHaveLength(2);
    expect(
      Object.keys(env)
        .filter(name => !/^(PWD|SHLVL|OLDPWD|_|__.*)$/.test(name))
        .sort(),
    ).toEqual(['HOME', 'SS_LOCAL_HOST', 'SS_LOCAL_PORT', 'SS_PLUGIN_OPTIONS', 'SS_REMOTE_HOST', 'SS_REMOTE_PORT']);
  });

  it('is found on PATH', async () => {
    const { folder } = fakePlugin('obfs-local');
    // The fake one is found by its other name.
    const plugin = await start({ remote: await startEcho(), command: 'simple-obfs', environment: { PATH: folder } });
    expect(await ask(plugin.endpoint(), 'hello')).toBe('hello');
  });

  it('gets SIGTERM, and is gone when close() resolves', async () => {
    const plugin = await start({ remote: LOOPBACK });
    const endpoint = plugin.endpoint();
    const { pid } = said('takes what is for')!;
    await plugin.close();
    expect(isAlive(pid!)).toBe(false);
    expect(await isAccepting(endpoint)).toBe(false);
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(() => plugin.endpoint()).toThrow('the plugin fake-plugin does not run');
  });

  it('that ignores SIGTERM is killed, with all that it has started', async () => {
    const plugin = await start({ remote: LOOPBACK, options: 'stubborn;child' });
    const { pid } = said('takes what is for')!;
    await plugin.close();
    expect(said('fake-plugin: no')).toBeDefined();
    await expect.poll(() => isAlive(-pid!), { timeout: 10_000 }).toBe(false);
  });

  it('that floods stderr goes on forwarding', async () => {
    const plugin = await start({ remote: await startEcho(), options: 'flood' });
    await expect.poll(() => said('writes more than is logged')).toBeDefined();
    for (let count = 0; count < 20; count++) expect(await ask(plugin.endpoint(), 'hello')).toBe('hello');
    expect(lines.length).toBeLessThan(100);
  });
});

describe('a plugin that does not start', () => {
  const remote = { host: '127.0.0.1', port: 1 };

  it.each([
    ['none', 'no program "none" on PATH; install it, or give its path'],
    [
      'obfs-local',
      'no program "obfs-local" on PATH; install it (in Debian: apt install simple-obfs), or give its path',
    ],
    ['obfs-local -v', 'or give its path; what stands behind the name of a program goes into --plugin-opts'],
    ['/nowhere/plugin', '"/nowhere/plugin" is no program that this user may run; check its path'],
  ])('because there is none: %s', async (command, message) => {
    const failing = startPlugin(options({ remote, command, environment: { PATH: fakePlugin().folder } }));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    await expect(failing).rejects.toThrow(message);
    await expect(failing).rejects.toThrow(/^--plugin: /);
    expect(lines).toEqual([]);
  });

  it('because it ends at once says what it said', async () => {
    const failing = startPlugin(options({ remote, options: 'end;password=hunter2' }));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_LISTEN' });
    await expect(failing).rejects.toThrow(
      'the plugin fake-plugin did not start: it has ended (exit code 3): fake plugin: wrong options: [redacted]',
    );
    expect(JSON.stringify(lines)).not.toContain('hunter2');
    expect(said('started again')).toBeUndefined();
  });

  it('because it never listens is killed', async () => {
    const file = join(fakePlugin().folder, 'told');
    const failing = startPlugin(options({ remote, options: `deaf;stubborn;tell=${file}`, startTimeout: 500 }));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_LISTEN' });
    await expect(failing).rejects.toThrow(/it does not listen on 127\.0\.0\.1:\d+ after 0\.5 s, and says: /);
    expect(isAlive(JSON.parse(readFileSync(file, 'utf8')).pid)).toBe(false);
  });

  it('because somebody else listens there is not taken for them', async () => {
    const taken = await startEcho();
    const failing = startPlugin(options({ role: 'server', remote: taken, local: LOOPBACK, options: 'server' }));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_LISTEN' });
    await expect(failing).rejects.toThrow(`127.0.0.1:${taken.port} is taken by another program`);
  });

  it('because its options are longer than the system takes', async () => {
    const failing = startPlugin(options({ remote, options: `password=${'x'.repeat(4_000_000)}` }));
    await expect(failing).rejects.toThrow(/did not start: it cannot be run \(E2BIG\)$/);
  });
});

describe('a plugin that ends', () => {
  it('is logged with its last words, says so meanwhile, and is started again', async () => {
    const plugin = await start({ remote: await startEcho(), options: 'dies-of=poison' });
    const first = plugin.endpoint();
    await kill(first, 'poison');
    await expect
      .poll(() => said('will be started again'))
      .toMatchObject({
        level: 'error',
        delay: 500,
        msg: 'the plugin fake-plugin will be started again: it has ended (exit code 4): fake plugin: killed by a word',
      });
    const down = /^the plugin fake-plugin does not run: it has ended \(exit code 4\): fake plugin: killed by a word$/;
    expect(plugin.obstacle).toMatch(down);
    expect(() => plugin.endpoint()).toThrow(down);
    await expect.poll(() => plugin.obstacle, { timeout: 5_000 }).toBeUndefined();
    expect(await ask(plugin.endpoint(), 'hello')).toBe('hello');
  });

  it('is tried again and again, each time later, while it fails', async () => {
    const once = join(fakePlugin().folder, 'once');
    const plugin = await start({ remote: await startEcho(), options: `dies-of=poison;once=${once}` });
    await kill(plugin.endpoint(), 'poison');
    const delays = () => lines.flatMap(line => ('delay' in line ? [line.delay] : []));
    await expect.poll(delays, { timeout: 5_000 }).toEqual([500, 1000]);
    expect(plugin.obstacle).toContain('fake plugin: not again');
    rmSync(once);
    await expect.poll(() => plugin.obstacle, { timeout: 5_000 }).toBeUndefined();
    expect(existsSync(once)).toBe(true);
  });

  it('is not started again once it is closed', async () => {
    const plugin = await start({ remote: LOOPBACK, options: 'dies-of=poison' });
    await kill(plugin.endpoint(), 'poison');
    await expect.poll(() => said('will be started again')).toBeDefined();
    await plugin.close();
    const count = lines.length;
    await new Promise(resolve => setImmediate(resolve));
    expect(lines).toHaveLength(count);
    expect(plugin.obstacle).toBeDefined();
  });
});

describe('one of several ways', () => {
  it('is tried again though it has never run', async () => {
    const once = join(fakePlugin().folder, 'once');
    const { path } = fakePlugin();
    rmSync(path);
    const plugin = keepPlugin(options({ remote: await startEcho(), command: path, options: `once=${once}` }));
    onTestFinished(() => plugin.close());
    await expect(plugin.started).rejects.toThrow('is no program that this user may run');
    expect(plugin.obstacle).toContain('is no program that this user may run');
    await expect.poll(() => said('will be started again')).toMatchObject({ level: 'error' });
  });

  it('that is closed before it has started leaves nothing behind', async () => {
    const plugin = keepPlugin(options({ remote: LOOPBACK }));
    await plugin.close();
    await expect(plugin.started).rejects.toThrow();
    expect(said('takes what is for')).toBeUndefined();
  });
});
