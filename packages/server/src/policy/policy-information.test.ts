import { formatNetwork } from '@podsocks/shared/matching/network';
import { describe, expect, it } from 'vitest';
import { allow, deny, type PolicyText, policy } from './policy-fixtures.ts';

const USERS = [{ name: 'ada', groups: ['payments'] }, { name: 'ben' }];

describe('networks that a user is allowed', () => {
  const networks = (text: PolicyText, user = 'ada', most = 100) =>
    policy({ users: USERS, ...text })
      .allowedNetworks(user, most)
      .map(formatNetwork);

  it('are those of the rules for them, in order', () => {
    const rules = [
      { ...allow('10.1.0.0/16'), users: ['ada'] },
      deny('10.2.0.0/16'),
      { ...allow('10.3.0.0/16', 'fd00::/8'), groups: ['payments'], ports: '443' },
      allow('10.4.0.0/16'),
    ];
    expect(networks({ rules })).toEqual(['10.1.0.0/16', '10.3.0.0/16', 'fd00::/8', '10.4.0.0/16']);
    expect(networks({ rules }, 'ben')).toEqual(['10.4.0.0/16']);
  });

  it('are none of names, all without a list, and those of "within" for anywhere in it', () => {
    expect(networks({ rules: [allow('*.example.com')] })).toEqual([]);
    expect(networks({ rules: [{ ...allow('*.example.com', '10.0.0.0/8'), within: ['10.1.0.0/16'] }] })).toEqual([]);
    expect(networks({ rules: [{ action: 'allow' }] })).toEqual(['0.0.0.0/0', '::/0']);
    expect(networks({ rules: [{ action: 'allow', within: ['10.0.0.0/8'] }] })).toEqual(['10.0.0.0/8']);
  });

  it('are so many at most', () => {
    const rules = [allow('10.0.0.0/16', '10.1.0.0/16'), allow('10.2.0.0/16', '10.3.0.0/16')];
    expect(networks({ rules }, 'ada', 3)).toEqual(['10.0.0.0/16', '10.1.0.0/16', '10.2.0.0/16']);
    expect(networks({ rules }, 'ada', 0)).toEqual([]);
  });
});

describe('a name may be looked up by itself', () => {
  it.each<[string, PolicyText, string, boolean]>([
    ['where the default allows', { default: 'allow' }, 'a.test', true],
    ['not where nothing is allowed', { default: 'deny' }, 'a.test', false],
    ['where a network is allowed that it may be in', { rules: [allow('10.0.0.0/8')] }, 'a.test', true],
    ['where one port is allowed', { rules: [{ action: 'allow', ports: '1' }] }, 'a.test', true],
    ['where its name is allowed', { rules: [allow('a.test')] }, 'a.test.', true],
    ['not where another name is', { rules: [allow('b.test')] }, 'a.test.', false],
    ['not where its name is denied', { rules: [deny('a.test')], default: 'allow' }, 'a.test.', false],
    [
      'where it is denied for one port',
      { rules: [{ ...deny('a.test'), ports: '1' }], default: 'allow' },
      'a.test.',
      true,
    ],
    [
      'where it is denied for one protocol',
      { rules: [{ ...deny('a.test'), protocols: ['udp'] }], default: 'allow' },
      'a.test.',
      true,
    ],
    ['where the search list may complete it', { rules: [deny('a.test')], default: 'allow' }, 'a.test', true],
    ['not where it is no name, and there are rules with names', { rules: [allow('b.test')] }, 'a b', false],
    ['not by a rule of others', { rules: [{ action: 'allow', users: ['ben'] }] }, 'a.test', false],
  ])('%s', (_, text, name, expected) => {
    expect(policy({ users: USERS, ...text }).mayLookUp('ada', name)).toBe(expected);
  });

  it('if it may be connected to on any port, and only then', () => {
    const rules = [
      deny('a.test'),
      { ...allow('10.0.0.0/8'), ports: '80' },
      { ...allow('*.b.test'), protocols: ['udp'] as const },
    ];
    for (const action of ['allow', 'deny'] as const) {
      const own = policy({ rules, default: action });
      for (const name of ['a.test.', 'x.b.test.', 'c.test.', 'c.test', '..']) {
        const asked = [80, 81].flatMap(port =>
          (['tcp', 'udp'] as const).map(protocol => own.evaluateAsked({ user: 'ada', protocol, name, port })),
        );
        expect({ name, may: own.mayLookUp('ada', name) }).toEqual({ name, may: asked.includes(undefined) });
      }
    }
  });
});
