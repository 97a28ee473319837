import { describe, expect, it } from 'vitest';
import { pluginsOfList } from '../plugin/server-plugin.ts';
import { readServerDocument } from './sip008.ts';

const ENTRY = {
  id: '27b8a625-4f4b-4428-9f0f-8a2317db7c79',
  remarks: 'berlin',
  server: '10.0.0.1',
  server_port: 8388,
  password: 'hunter2',
  method: 'chacha20-ietf-poly1305',
  plugin: '',
  plugin_opts: '',
};

const read = (document: unknown) => readServerDocument(JSON.stringify(document), 'https://example.com/…');
const complaintOf = (document: unknown): string => {
  try {
    read(document);
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
};

describe('a list of servers', () => {
  it('is what SIP008 says it is', () => {
    const servers = read({
      version: 1,
      servers: [ENTRY, { ...ENTRY, remarks: 'oslo', server: 'fd00::1' }],
      bytes_used: 274877906944,
      bytes_remaining: 824633720832,
    });
    expect(servers).toMatchObject([
      { name: 'berlin', host: '10.0.0.1', port: 8388, method: { name: 'chacha20-ietf-poly1305' } },
      { name: 'oslo', host: 'fd00::1', port: 8388 },
    ]);
  });

  it('may say more than is known, and less than it could', () => {
    const { server, server_port, method, password } = ENTRY;
    const document = {
      servers: [{ server, server_port, method, password, vendor: { x: 1 }, tcp_weight: 2 }],
      username: 'x',
    };
    expect(read(document)).toMatchObject([{ host: '10.0.0.1' }]);
  });

  it('has names that a terminal can print', () => {
    const [server] = read({ servers: [{ ...ENTRY, remarks: `a\u001b[2J\nb${'c'.repeat(100)}` }] });
    expect(server!.name).toBe(`a[2Jb${'c'.repeat(59)}`);
  });

  it.each<[string, unknown, string]>([
    ['another version', { version: 2, servers: [ENTRY] }, 'https://example.com/…: version: is not 1'],
    ['no list', { servers: ENTRY }, 'servers: is not a list'],
    ['an empty list', { servers: [] }, 'has no server'],
    ['too many', { servers: Array(501).fill(ENTRY) }, 'more than 500'],
    ['something that is no server', { servers: [ENTRY, 'x'] }, 'servers[1]: has to be an object'],
    ['a bad one among good ones', { servers: [ENTRY, { ...ENTRY, server_port: 0 }] }, 'servers[1].server_port'],
    ['one without a host', { servers: [{ ...ENTRY, server: undefined }] }, 'servers[0]: has no host'],
    ['one without a password', { servers: [{ ...ENTRY, password: undefined }] }, 'servers[0]: no password'],
    [
      'one that makes a server of its plugin',
      { servers: [ENTRY, { ...ENTRY, plugin: 'v2ray-plugin', plugin_opts: 'server;localPort=hunter2' }] },
      'servers[1].plugin_opts: the server\'s options for the plugin name "server"',
    ],
    ['an unknown method', { servers: [{ ...ENTRY, method: 'rc4-md5' }] }, 'servers[0].method'],
    [
      'a password that is no key',
      { servers: [{ ...ENTRY, method: '2022-blake3-aes-256-gcm' }] },
      'servers[0].password',
    ],
  ])('is refused as a whole: %s', (_, document, complaint) => {
    expect(complaintOf(document)).toContain(complaint);
    expect(complaintOf(document)).not.toContain('hunter2');
  });

  it('has the plugins that the configuration says, above and below what it says itself', () => {
    const [plain, own, foreign] = [
      ENTRY,
      { ...ENTRY, plugin: 'obfs-local', plugin_opts: 'obfs=http' },
      { ...ENTRY, plugin: 'poweroff', plugin_opts: 'cert=/etc/passwd' },
    ];
    const pluginsOf = (above: object, below: object, ...servers: readonly object[]) => {
      const plugins = pluginsOfList(above, below, { PATH: '/bin', SS_PASSWORD: 'hunter2' });
      return readServerDocument(JSON.stringify({ servers }), 'here', plugins).map(({ plugin }) => plugin);
    };
    const given = { value: './mine', from: '--plugin' };
    const options = { value: 'mine', from: '--plugin-opts' };
    const mine = { command: './mine', environment: { PATH: '/bin' }, from: '--plugin' };
    const theirs = { ...mine, command: 'obfs-local', options: 'obfs=http', from: 'here: servers[1].plugin' };
    expect(pluginsOf({}, { plugin: given }, plain, own)).toEqual([mine, theirs]);
    expect(pluginsOf({ plugin: given }, {}, plain, own)).toEqual([mine, { ...mine, options: 'obfs=http' }]);
    expect(pluginsOf({ plugin: given, pluginOpts: options }, {}, foreign)).toEqual([{ ...mine, options: 'mine' }]);
    expect(() => pluginsOf({ plugin: given }, {}, foreign)).toThrow('here: servers[0].plugin_opts: ');
  });

  it('has servers of others, who do not get our password', () => {
    const password = { value: 'hunter2', from: 'SS_PASSWORD' };
    const plugins = pluginsOfList({ password } as object, { password } as object, {});
    const text = JSON.stringify({ servers: [{ ...ENTRY, password: undefined }] });
    expect(() => readServerDocument(text, 'here', plugins)).toThrow(
      'here: servers[0]: no password for 10.0.0.1; ask for a list that has one for each server',
    );
  });

  it.each(['', '[]', '{"servers": [', '\u0000', `${'['.repeat(50_000)}`])('is no list at all: %j', text => {
    expect(() => readServerDocument(text, 'here')).toThrow(/^here: /);
  });
});
