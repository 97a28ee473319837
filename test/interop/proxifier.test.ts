import { proxifierProfile } from '@podsocks/client/proxifier/profile';
import { isXmlText } from '@podsocks/client/proxifier/xml';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';

/** Parses each profile with expat, and says what it has found in it. */
const PARSE = `
import base64, json, sys, xml.etree.ElementTree as tree
found = []
for argument in sys.argv[1:]:
    root = tree.fromstring(base64.b64decode(argument))
    proxy = root.find('ProxyList/Proxy')
    rules = [[rule.findtext(name) for name in ('Name', 'Applications', 'Targets')] + [rule.find('Action').get('type')]
             for rule in root.findall('RuleList/Rule')]
    found.append([root.tag, proxy.get('type'), proxy.findtext('Address'), proxy.findtext('Port'),
                  root.find('Options/Resolve/ViaProxy').get('enabled'), rules])
print(json.dumps(found))
`;

describeWith(['python3 with PySocks'], 'a profile for Proxifier, and the XML parser of Python', () => {
  test('is well-formed, and says what it was to say', async () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 20 })
      .filter(text => isXmlText(text) && !/[\s";]/.test(text));
    const lists = fc.sample(fc.array(name, { minLength: 1, maxLength: 3 }), { numRuns: 50, seed: 1 });
    const platforms = ['windows', 'macos'] as const;
    const profiles = lists.map((names, i) =>
      proxifierProfile({
        platform: platforms[i % 2]!,
        proxy: { host: '127.0.0.1', port: 1080 },
        apps: [names, ['with blank <&>.exe']],
        domains: ['cluster.local'],
        networks: ['10.96.0.0-10.111.255.255'],
      }),
    );
    const encoded = profiles.map(profile => Buffer.from(profile).toString('base64'));
    const found = JSON.parse(`${await runCommand(pathOf('python3 with PySocks'), ['-c', PARSE, ...encoded])}`);
    expect(found).toEqual(
      lists.map((names, i) => [
        'ProxifierProfile',
        'SOCKS5',
        '127.0.0.1',
        '1080',
        'true',
        [
          ['Localhost', null, 'localhost; 127.0.0.0-127.255.255.255; ::1; %ComputerName%', 'Direct'],
          ['ss-local itself', i % 2 === 0 ? 'ss-local.exe; node.exe' : 'ss-local; node', null, 'Direct'],
          ['Cluster', null, '*.cluster.local; 10.96.0.0-10.111.255.255', 'Proxy'],
          [`Programs: ${names.join('; ')}`, names.join('; '), null, 'Proxy'],
          ['Programs: with blank <&>.exe', '"with blank <&>.exe"', null, 'Proxy'],
          ['Default', null, null, 'Direct'],
        ],
      ]),
    );
  });
});
