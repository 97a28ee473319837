import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProgram } from '@podsocks/shared/settings/program';
import { flagLayer } from '@podsocks/shared/settings/settings';
import { parseSsUrl } from '@podsocks/shared/wire/ss-url';
import { expect, onTestFinished, test } from 'vitest';
import { main } from '../command-line.ts';
import { CLIENT_PLUGIN_SETTINGS, clientPlugin } from './url-plugin.ts';

const V2RAY = { command: '/opt/ss-v2ray-plugin', options: 'server;tls;host=a.example;key=/secret.pem' };
const MINE = { command: 'mine', options: 'server;key=hunter2' };

function of(own: typeof V2RAY | undefined, ...argv: string[]) {
  const about = { name: 'test', version: '1', summary: '' };
  const program = createProgram(about, CLIENT_PLUGIN_SETTINGS, { write: () => {} }).action(() => {});
  program.parse(argv, { from: 'user' });
  return clientPlugin('url', own, flagLayer(CLIENT_PLUGIN_SETTINGS, program.opts()));
}

test('clients get the plugin that belongs to the server’s, and of its options those that are theirs, too', () => {
  expect(of(undefined)).toBeUndefined();
  expect(of(V2RAY)).toEqual({ command: 'v2ray-plugin', options: 'tls;host=a.example' });
  expect(of(V2RAY, '--client-plugin', 'ss-v2ray-plugin')).toEqual({
    command: 'ss-v2ray-plugin',
    options: 'tls;host=a.example',
  });
});

test('what is said counts more', () => {
  const options = ['--client-plugin-opts', 'tls;host=b.example'];
  expect(of(V2RAY, ...options)).toEqual({ command: 'v2ray-plugin', options: 'tls;host=b.example' });
  expect(of(V2RAY, '--client-plugin', 'other')).toEqual({ command: 'other' });
  expect(of(MINE, '--client-plugin', 'mine')).toEqual({ command: 'mine' });
  expect(of(undefined, '--client-plugin', 'v2ray-plugin', ...options)).toEqual({
    command: 'v2ray-plugin',
    options: 'tls;host=b.example',
  });
});

test('what cannot be known has to be said', () => {
  expect(() => of(MINE)).toThrow(
    /^url: what clients of the server's plugin need is not known; say it with --client-plugin and/,
  );
  expect(() => of(MINE)).not.toThrow('hunter2');
  expect(() => of(undefined, '--client-plugin-opts', 'tls')).toThrow(/^url: there is no plugin for the options; /);
});

const KEY = Buffer.alloc(32, 1).toString('base64');
const PLUGIN = ['--plugin', 'obfs-server', '--plugin-opts', 'obfs=http;failover=127.0.0.1:80'];

async function run(...argv: string[]): Promise<{ out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const surroundings = {
    stdout: { write: (text: string) => void out!.push(text) },
    stderr: { write: (text: string) => void err!.push(text) },
    events: { on: () => {}, off: () => {} },
  };
  const start = () => Promise.reject(new Error('not here'));
  const code = await main(argv, { SS_PASSWORD: KEY }, surroundings, { version: '1', start });
  expect({ code, err: code === 0 ? '' : err!.join('') }).toEqual({ code: 0, err: '' });
  return { out: out!.join(''), err: err!.join('') };
}

test('the URL names it', async () => {
  const { out } = await run(...PLUGIN, 'url', '--host', 'node.example.com');
  expect(parseSsUrl(out)).toMatchObject({ plugin: 'obfs-local;obfs=http', host: 'node.example.com', port: 8388 });
});

test('so do the URLs of users, and the command that would print one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const users = ['--users', join(folder, 'users.json')];
  writeFileSync(join(folder, 'users.json'), '{ "users": [] }', { mode: 0o600 });
  const { out } = await run(...PLUGIN, ...users, 'user', 'add', 'ada', '--host', 'node.example.com');
  expect(parseSsUrl(out)).toMatchObject({ plugin: 'obfs-local;obfs=http', tag: 'ada' });
  const url = ['user', 'url', 'ada', '--host', 'node.example.com', '--client-plugin-opts', 'obfs=tls'];
  expect(parseSsUrl((await run(...PLUGIN, ...users, ...url)).out)).toMatchObject({ plugin: 'obfs-local;obfs=tls' });
  const { err } = await run(...PLUGIN, ...users, 'user', 'add', 'ben');
  expect(err).toContain('--plugin obfs-server --plugin-opts OPTIONS');
});

test('--check names it, without its options', async () => {
  const { out } = await run(...PLUGIN, '--check');
  expect(out).toMatch(/^ {2}plugin +obfs-server, with options$/m);
  expect(out).not.toContain('failover');
});
