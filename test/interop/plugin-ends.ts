import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlugin } from '@podsocks/shared/plugin/plugin';
import { createLogger } from '@podsocks/shared/runtime/log';
import { freePort } from '../support/free-port.ts';
import { isPortTaken } from '../support/ports.ts';
import { type Ready, startProgram } from '../support/program-run.ts';
import type { Program } from '../support/programs.ts';
import { commandOf, type End, type Implementation, startClient } from '../support/shadowsocks-ends.ts';

/** A plugin of others, as Debian has it, and what its ends are told. */
export interface PluginUnderTest {
  readonly programs: readonly Program[];
  readonly server: { readonly plugin: string; readonly plugin_opts: string };
  readonly client: { readonly plugin: string; readonly plugin_opts: string };
}

export const PLUGINS: Readonly<Record<string, PluginUnderTest>> = {
  'simple-obfs, HTTP': {
    programs: ['obfs-local', 'obfs-server'],
    server: { plugin: 'obfs-server', plugin_opts: 'obfs=http' },
    client: { plugin: 'obfs-local', plugin_opts: 'obfs=http;obfs-host=www.example.com' },
  },
  'simple-obfs, TLS': {
    programs: ['obfs-local', 'obfs-server'],
    server: { plugin: 'obfs-server', plugin_opts: 'obfs=tls' },
    client: { plugin: 'obfs-local', plugin_opts: 'obfs=tls;obfs-host=www.example.com' },
  },
  'v2ray-plugin, WebSocket': {
    programs: ['ss-v2ray-plugin'],
    server: { plugin: 'ss-v2ray-plugin', plugin_opts: 'server;path=/a\\=b;host=www.example.com' },
    client: { plugin: 'ss-v2ray-plugin', plugin_opts: 'path=/a\\=b;host=www.example.com' },
  },
};

export interface PluginServerOptions {
  readonly impl: Implementation;
  readonly method: string;
  readonly password: string;
  readonly plugin: { readonly plugin: string; readonly plugin_opts: string };
  readonly udp?: boolean;
  readonly flags?: readonly string[];
}

/** A server behind a plugin; `port` is where the plugin listens. */
export async function startServerBehind(options: PluginServerOptions): Promise<End> {
  const { impl, method, password, plugin, udp, flags = [] } = options;
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'podsocks-plugin-'));
  const file = join(folder, 'config.json');
  const policy = impl === 'podsocks' ? { allow: ['127.0.0.0/8'] } : {};
  const mode = udp ? { mode: 'tcp_and_udp' } : {};
  const config = { server: '127.0.0.1', server_port: port, method, password, ...plugin, ...mode, ...policy };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    const command = [...commandOf(impl, 'server'), '-c', file, ...flags] as [string, ...string[]];
    const run = await startProgram(`${impl} server behind ${plugin.plugin}`, command, bothListen(port));
    return { ...run, port, stop: () => run.stop().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

export interface PluginClientOptions {
  readonly impl: Implementation;
  readonly method: string;
  readonly password: string;
  readonly serverPort: number;
  readonly plugin: { readonly plugin: string; readonly plugin_opts: string };
  readonly udp?: boolean;
}

/** A client that goes through a plugin. */
export async function startClientThrough(options: PluginClientOptions): Promise<End> {
  const { impl, method, password, serverPort, plugin, udp } = options;
  const common = { impl, method, password, ...(udp && { udp: 'plain' as const }) };
  if (impl !== 'podsocks') return startClient({ ...common, serverPort, settings: { ...plugin }, ready: bothListen });
  const started = await startPlugin({
    command: plugin.plugin,
    options: plugin.plugin_opts,
    environment: { PATH: process.env.PATH ?? '' },
    from: 'the test',
    role: 'client',
    remote: { host: '127.0.0.1', port: serverPort },
    log: createLogger({ level: 'silent', format: 'json', name: 'test' }),
  });
  try {
    // What tests reach is on loopback, where ss-local would go by itself.
    const settings = { route: 'all' };
    const client = await startClient({ ...common, serverPort: started.endpoint().port, settings });
    return { ...client, stop: () => client.stop().finally(() => started.close()) };
  } catch (error) {
    await started.close();
    throw error;
  }
}

/**
 * An end accepts connections before its plugin does, or the plugin before its end, and then loses them: whichever comes
 * second listens at the port that the plugin was told as SS_LOCAL_PORT (the server at its own, the plugin at a
 * client's).
 */
function bothListen(port: number): number | Ready {
  if (process.platform !== 'linux') return port;
  return async pid => {
    const inner = await localPortOfPlugin(pid);
    return inner !== undefined && (await isPortTaken(pid, 'tcp', inner)) && (await isPortTaken(pid, 'tcp', port));
  };
}

async function localPortOfPlugin(pid: number): Promise<number | undefined> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const children = await Promise.all(threads.map(thread => readIfThere(`/proc/${pid}/task/${thread}/children`)));
  for (const child of children.join(' ').split(' ').filter(Boolean)) {
    const environment = (await readIfThere(`/proc/${child}/environ`)).split('\0');
    const found = environment.map(entry => /^SS_LOCAL_PORT=(\d+)$/.exec(entry)?.[1]).find(Boolean);
    if (found !== undefined) return Number(found);
  }
  return undefined;
}

const readIfThere = (path: string) => readFile(path, 'utf8').catch(() => '');
