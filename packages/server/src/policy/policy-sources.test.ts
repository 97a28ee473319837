import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '@podsocks/shared/settings/config-file';
import { envLayer, flagLayer } from '@podsocks/shared/settings/settings';
import { afterAll, describe, expect, it } from 'vitest';
import { POLICY_SETTINGS, policyFields } from './fields.ts';
import { OwnListeners } from './own-listeners.ts';
import { Policy } from './policy.ts';
import { to } from './policy-fixtures.ts';
import { policyFrom } from './policy-sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'podsocks-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const USERS = [{ name: 'ada', groups: ['ops'] }, { name: 'bob' }];

interface Given {
  readonly flags?: Record<string, unknown>;
  readonly env?: Record<string, string>;
  readonly file?: object;
}

function load({ flags = {}, env = {}, file = {} }: Given) {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(file));
  const layer = readConfigFile(path, policyFields, { noEffect: {}, refused: {} }, () => {});
  return policyFrom(
    { ...layer, ...envLayer(POLICY_SETTINGS, env), ...flagLayer(POLICY_SETTINGS, flags) },
    { users: USERS },
  );
}

function verdict(given: Given, address: string, others?: Parameters<typeof to>[1]) {
  const policy = new Policy({
    ...load(given),
    users: USERS,
    own: new OwnListeners(
      () => [],
      () => 0,
    ),
  });
  const { allowed, rule } = policy.evaluate(to(address, others));
  return `${allowed ? 'allowed' : 'denied'} by ${rule.replace(`${folder}/`, '')}`;
}

/** What is complained of, after the path of the file. */
function complaint(given: Given): string {
  try {
    load(given);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CONFIG' });
    return (error as Error).message.replace(`${folder}/`, '');
  }
  throw new Error('there was no complaint');
}

describe('the short form', () => {
  it('denies what is not allowed, once anything is', () => {
    expect(verdict({}, '10.0.0.1')).toBe('allowed by default');
    expect(verdict({ flags: { deny: ['192.0.2.0/24'] } }, '10.0.0.1')).toBe('allowed by default');
    expect(verdict({ flags: { deny: ['192.0.2.0/24'] } }, '192.0.2.1')).toBe('denied by --deny 192.0.2.0/24');
    expect(verdict({ flags: { allow: ['192.0.2.0/24'] } }, '10.0.0.1')).toBe('denied by default');
    expect(verdict({ flags: { allow: ['192.0.2.0/24'] } }, '192.0.2.1')).toBe('allowed by --allow 192.0.2.0/24');
    expect(verdict({ flags: { allow: ['192.0.2.0/24'], policyDefault: 'allow' } }, '10.0.0.1')).toBe(
      'allowed by default',
    );
    expect(verdict({ flags: { deny: ['192.0.2.0/24'], policyDefault: 'deny' } }, '10.0.0.1')).toBe('denied by default');
  });

  it('lets the narrowest network decide, in whatever order', () => {
    const flags = { allow: ['10.0.0.0/8', '10.1.2.0/24'], deny: ['10.1.0.0/16', '10.1.2.3', '10.0.0.0/8'] };
    for (const given of [{ flags }, { flags: { allow: flags.allow.toReversed(), deny: flags.deny.toReversed() } }]) {
      expect(verdict(given, '10.2.0.1')).toBe('denied by --deny 10.0.0.0/8');
      expect(verdict(given, '10.1.0.1')).toBe('denied by --deny 10.1.0.0/16');
      expect(verdict(given, '10.1.2.1')).toBe('allowed by --allow 10.1.2.0/24');
      expect(verdict(given, '10.1.2.3')).toBe('denied by --deny 10.1.2.3');
    }
  });

  it('lifts loopback', () => {
    expect(verdict({ flags: { allow: ['0.0.0.0/0'] } }, '127.0.0.1')).toBe('denied by built in: loopback');
    expect(verdict({ flags: { allow: ['127.0.0.0/8', '::1'] } }, '127.0.0.1')).toBe('allowed by --allow 127.0.0.0/8');
    expect(verdict({ flags: { allow: ['127.0.0.0/8', '::1'] } }, '::1')).toBe('allowed by --allow ::1');
  });

  it('comes from variables and the file, too', () => {
    const env = { SS_ALLOW: '10.0.0.0/8, fd00::/8', SS_DENY: '10.1.0.0/16', SS_POLICY_DEFAULT: 'allow' };
    expect(verdict({ env }, 'fd00::1')).toBe('allowed by SS_ALLOW fd00::/8');
    expect(verdict({ env }, '10.1.0.1')).toBe('denied by SS_DENY 10.1.0.0/16');
    expect(verdict({ env }, '192.0.2.1')).toBe('allowed by default');
    const file = { allow: ['10.0.0.0/8'], deny: '10.1.0.0/16' };
    expect(verdict({ file }, '10.2.0.1')).toBe('allowed by config.json: allow 10.0.0.0/8');
    expect(verdict({ file }, '10.1.0.1')).toBe('denied by config.json: deny 10.1.0.0/16');
    expect(() => load({ flags: { allow: ['10.0.0.1/8'] } })).toThrow(
      /^--allow: 10\.0\.0\.1\/8 has bits behind its prefix/,
    );
  });
});

describe('the file', () => {
  const file = {
    policy_default: 'deny',
    policy: [
      { action: 'deny', to: '10.66.0.0/16' },
      {
        action: 'allow',
        to: ['10.0.0.0/8', '*.svc.cluster.local'],
        ports: '443, 8000-8999',
        protocol: 'tcp',
        users: ['ada'],
      },
      { action: 'allow', groups: 'ops', to: ['::1'], ports: ['22', '80-81'], protocol: ['tcp', 'udp'] },
      { action: 'allow', to: '*.example.com', within: ['192.0.2.0/24'] },
    ],
  };

  it('has rules in its order', () => {
    expect(verdict({ file }, '10.66.0.1')).toBe('denied by config.json: policy[0]');
    expect(verdict({ file }, '10.0.0.1')).toBe('allowed by config.json: policy[1]');
    expect(verdict({ file }, '192.0.2.1', { name: 'db.svc.cluster.local' })).toBe('allowed by config.json: policy[1]');
    expect(verdict({ file }, '10.0.0.1', { user: 'bob' })).toBe('denied by default');
    expect(verdict({ file }, '10.0.0.1', { protocol: 'udp' })).toBe('denied by default');
    expect(verdict({ file }, '::1', { port: 81, protocol: 'udp' })).toBe('allowed by config.json: policy[2]');
    expect(verdict({ file }, '::1', { port: 81, user: 'bob' })).toBe('denied by built in: loopback');
    expect(verdict({ file }, '192.0.2.1', { name: 'a.example.com' })).toBe('allowed by config.json: policy[3]');
    expect(verdict({ file }, '198.51.100.1', { name: 'a.example.com' })).toBe('denied by default');
  });

  it('comes after the short form, which comes after the access control list', () => {
    const acl = join(folder, 'list.acl');
    writeFileSync(acl, '[outbound_block_list]\n10.0.0.0/16\n');
    const given = { file, flags: { acl, allow: ['10.0.0.0/15', '10.66.0.0/16'] } };
    expect(verdict(given, '10.0.0.1')).toBe('denied by --acl list.acl');
    expect(verdict(given, '10.1.0.1')).toBe('allowed by --allow 10.0.0.0/15');
    expect(verdict(given, '10.66.0.1')).toBe('allowed by --allow 10.66.0.0/16');
    expect(verdict(given, '10.9.0.1')).toBe('allowed by config.json: policy[1]');
  });

  it('denies what is not allowed, once anything is', () => {
    expect(load({ file: { policy: [{ action: 'deny', to: '10.0.0.0/8' }] } }).default).toBe('allow');
    expect(load({ file: { policy: [{ action: 'allow', to: '10.0.0.0/8' }] } }).default).toBe('deny');
    expect(load({ file: { policy: [] } })).toEqual({ rules: [], default: 'allow' });
  });

  it.each([
    [{ policy: [{ action: 'allow', tp: ['10.0.0.0/8'] }] }, 'policy[0].tp: unknown field; did you mean "to"?'],
    [{ policy: [{ action: 'allow', port: '443' }] }, 'policy[0].port: unknown field; did you mean "ports"?'],
    [{ policy: [{ action: 'permit' }] }, 'policy[0].action: "permit" is not one of allow, deny'],
    [{ policy: [{ to: ['10.0.0.0/8'] }] }, 'policy[0].action: is missing; it has to be text in double quotes'],
    [{ policy: { rules: [] } }, 'policy: has to be a list of objects [ { … } ]'],
    [{ policy: [{ action: 'allow', to: [] }] }, 'policy[0].to: is empty; list something, or leave it out to mean all'],
    [
      { policy: [{ action: 'allow', users: [] }] },
      'policy[0].users: is empty; list something, or leave it out to mean all',
    ],
    [
      { policy: [{ action: 'allow', to: ['10.0.0.1/8'] }] },
      'policy[0].to: 10.0.0.1/8 has bits behind its prefix; write 10.0.0.0/8, or 10.0.0.1 for the one address',
    ],
    [
      { policy: [{ action: 'allow', to: ['10.0.0'] }] },
      'policy[0].to: "10.0.0" is not a network; give an address or CIDR, such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      { policy: [{ action: 'allow', to: ['a.*.example'] }] },
      'policy[0].to: "a.*.example" is neither a network nor a name; write 10.0.0.0/8, db.example.com, or ' +
        '*.example.com for all below it (a star stands alone at the beginning, other characters as punycode)',
    ],
    [
      { policy: [{ action: 'allow', ports: '80-79' }] },
      'policy[0].ports: "80-79" is not a port or range of ports; write 443, or 8000-8999, with 1 to 65535',
    ],
    [
      { policy: [{ action: 'allow', ports: 443 }] },
      'policy[0].ports: has to be text in double quotes, or a list of such',
    ],
    [{ policy: [{ action: 'allow', protocol: 'icmp' }] }, 'policy[0].protocol: "icmp" is not one of tcp, udp'],
    [{ policy: [{ action: 'allow', users: ['eve'] }] }, 'policy[0].users: no user is called "eve"; known are ada, bob'],
    [
      { policy: [{}, { action: 'deny', groups: ['dev'] }].slice(1) },
      'policy[0].groups: no group is called "dev"; known are ops',
    ],
    [{ policy_default: 'drop' }, 'policy_default: "drop" is not one of allow, deny'],
    [
      { allow: ['a.example'] },
      'allow: "a.example" is not a network; give an address or CIDR, such as 10.0.0.0/8 or fd00::/8',
    ],
  ])('says what is wrong with %j', (given, message) => {
    expect(complaint({ file: given })).toBe(`config.json: ${message}`);
  });

  it('says that there is no group at all', () => {
    const policy = { value: [{ action: 'deny' as const, groups: ['ops'] }], from: 'policy' };
    expect(() => policyFrom({ policy }, { users: [] })).toThrow(
      'policy[0].groups: no group is called "ops"; there is no group',
    );
  });
});
