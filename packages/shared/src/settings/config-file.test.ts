import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { readConfigFile } from './config-file.ts';
import { commonFields, type Fields, records, secret, text } from './fields.ts';
import { asText } from './values.ts';

const FIELDS = {
  ...commonFields,
  users: records({ name: text(asText), password: secret, note: text(asText).optional() }),
} satisfies Fields;

const FOREIGN = { noEffect: { local_port: 'it belongs to ss-local' }, refused: { servers: 'there is one port' } };

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'podsocks-'));
  path = join(folder, 'config.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: unknown) {
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  const warnings: string[] = [];
  const layer = readConfigFile(path, FIELDS, FOREIGN, message => warnings.push(message));
  return { layer, warnings };
}

/** The message without the file, which has to stand in front of it. */
function complaint(content: unknown): string {
  try {
    read(content);
  } catch (error) {
    expect(error).toBeInstanceOf(PodsocksError);
    const { code, message } = error as PodsocksError;
    expect(code).toBe('ERR_CONFIG');
    expect(message.startsWith(`${path}: `)).toBe(true);
    expect(message).not.toContain('hunter2');
    return message.slice(path.length + 2);
  }
  throw new Error('accepted');
}

describe('readConfigFile', () => {
  test('gives each field under its name in camel case, with its place', () => {
    const { layer, warnings } = read({ server: '::', server_port: 8388, users: [{ name: 'alice', password: 'x' }] });
    expect(warnings).toEqual([]);
    expect(layer).toEqual({
      server: { value: [{ host: '::' }], from: `${path}: server` },
      serverPort: { value: 8388, from: `${path}: server_port` },
      users: { value: [{ name: 'alice', password: 'x' }], from: `${path}: users` },
    });
  });

  test.each(['tcp_only', 'tcp_and_udp', 'udp_only'])('takes the mode %s', mode => {
    expect(read({ mode })).toEqual({ layer: { mode: { value: mode, from: `${path}: mode` } }, warnings: [] });
  });

  test('takes numbers in quotes, lists of hosts, and a byte order mark', () => {
    const { layer } = read('\uFEFF{"server": ["::1", "127.0.0.1:9"], "server_port": "8388", "timeout": "60"}');
    expect(layer.server?.value).toEqual([{ host: '::1' }, { host: '127.0.0.1', port: 9 }]);
    expect(layer.serverPort?.value).toBe(8388);
    expect(layer.timeout?.value).toBe(60_000);
  });

  test.each([
    [{ server_port: 'hunter' }, 'server_port: "hunter" is not a port; give a number from 0 to 65535'],
    [{ server_port: true }, 'server_port: has to be a number'],
    [{ server_port: 1.5 }, 'server_port: "1.5" is not a port'],
    [{ server: 'a b' }, 'server: "a b" is not a host; give a name'],
    [{ server: ['::', 5] }, 'server: has to be text in double quotes, or a list of such'],
    [{ timeout: 0 }, 'timeout: "0" is not a time in seconds; give a number'],
    [{ method: 'rc4-md5' }, 'method: method "rc4-md5" does not authenticate'],
    [{ method: 5 }, 'method: has to be text in double quotes'],
    [{ no_delay: 'hunter2' }, 'no_delay: has to be true or false'],
    [{ log_level: 'loud' }, 'log_level: "loud" is not one of trace, debug'],
    [{ password: '' }, 'password: is empty; put the password in quotes'],
    [{ password: ['hunter2'] }, 'password: has to be text in double quotes'],
    [{ users: 'hunter2' }, 'users: has to be a list of objects'],
    [{ users: ['hunter2'] }, 'users[0]: has to be an object'],
    [
      { users: [{ name: 'a', password: 'hunter2' }, { password: 'hunter2' }] },
      'users[1].name: is missing; it has to be text',
    ],
    [{ users: [{ name: 'a', password: 22 }] }, 'users[0].password: has to be text in double quotes'],
    [{ users: [{ name: 'a', pasword: 'hunter2' }] }, 'users[0].pasword: unknown field; did you mean "password"?'],
    [{ mode: 'tcp' }, 'mode: "tcp" is not one of tcp_only, tcp_and_udp, udp_only'],
    [{ mode: true }, 'mode: has to be text in double quotes'],
    [{ server_port: 'x', timeout: 'y', nofile: 'z' }, '(and 2 more)'],
  ])('names file, field, fault and mend: %j', (content, expected) => {
    expect(complaint(content)).toContain(expected);
  });

  test.each([
    [{ serverport: 'hunter2' }, 'serverport: unknown field; did you mean "server_port"?'],
    [{ Password: 'hunter2' }, 'Password: unknown field; did you mean "password"?'],
    [{ local_prot: 1 }, 'local_prot: unknown field'],
    [{ something_else_entirely: 1 }, 'something_else_entirely: unknown field; known are server, server_port'],
    ['{"__proto__": {"a": 1}}', '__proto__: unknown field'],
    [{ constructor: 1 }, 'constructor: unknown field'],
  ])('refuses unknown fields: %j', (content, expected) => {
    expect(complaint(content)).toContain(expected);
  });

  test.each([
    ['nameserver', 'names are looked up by ss-server; put it into its file'],
    ['dns', 'it has another name here; use "nameserver" of ss-server'],
    ['dns_cache_size', 'answers are kept for their TTL; remove it'],
    ['key', 'raw keys are not taken'],
    ['user', 'start the program as that user'],
    ['port_password', 'there is one port'],
    ['outbound_proxy', 'not available; remove it'],
    ['auth', 'obsolete; remove it'],
    ['servers', 'there is one port'],
  ])('refuses %s, unless it is off', (field, expected) => {
    expect(complaint({ [field]: 'hunter2' })).toContain(`${field}: `);
    expect(complaint({ [field]: { a: 'hunter2' } })).toContain(expected);
    for (const off of ['', null, false]) expect(read({ [field]: off })).toEqual({ layer: {}, warnings: [] });
  });

  test('warns once of each field without effect', () => {
    const { layer, warnings } = read({
      workers: 4,
      mtu: 1400,
      log: { level: 1 },
      local_port: 1080,
      use_syslog: false,
      users: [
        { name: 'a', password: 'x', id: '1' },
        { name: 'b', password: 'y', id: '2' },
      ],
    });
    expect(Object.keys(layer)).toEqual(['users']);
    expect(warnings).toEqual([
      `${path}: workers: has no effect here, there is one thread; remove it`,
      `${path}: mtu: has no effect here, a datagram may be as long as the network takes; remove it`,
      `${path}: log: has no effect here, use "log_level" and "log_format"; remove it`,
      `${path}: local_port: has no effect here, it belongs to ss-local; remove it`,
      `${path}: id: has no effect here, it is a note of the provider; remove it`,
    ]);
  });
});
