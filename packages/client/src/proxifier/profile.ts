import { domainTargets } from './targets.ts';
import { element, type XmlElement, xmlDocument } from './xml.ts';

export const PROXIFIER_PLATFORMS = ['windows', 'macos'] as const;
export type ProxifierPlatform = (typeof PROXIFIER_PLATFORMS)[number];

export interface ProxifierProfile {
  readonly platform: ProxifierPlatform;
  /** Where ss-local listens. */
  readonly proxy: { readonly host: string; readonly port: number };
  /** Programs whose connections all go to ss-local: for each rule its list. */
  readonly apps: readonly (readonly string[])[];
  /** Of the cluster: `cluster.local`. */
  readonly domains: readonly string[];
  /** Of the cluster, as {@link networkTarget} spells them. */
  readonly networks: readonly string[];
}

/** Any number does that no other proxy of the profile has; Proxifier begins with this one. */
const PROXY_ID = '100';

/** What ss-local runs as. Its own connections must not come back to it. */
export const OWN_PROGRAMS: Readonly<Record<ProxifierPlatform, readonly string[]>> = {
  windows: ['ss-local.exe', 'node.exe'],
  macos: ['ss-local', 'node'],
};

/** A profile (.ppx) for Proxifier 4 for Windows, or Proxifier 2 and 3 for Mac. The first rule that fits counts. */
export function proxifierProfile({ platform, proxy, apps, domains, networks }: ProxifierProfile): string {
  const cluster = [...domainTargets(domains), ...networks];
  const rules = [
    rule('Localhost', DIRECT, { targets: ['localhost', '127.0.0.0-127.255.255.255', '::1', '%ComputerName%'] }),
    rule('ss-local itself', DIRECT, { applications: OWN_PROGRAMS[platform] }),
    ...(cluster.length > 0 ? [rule('Cluster', THROUGH, { targets: cluster })] : []),
    ...apps.map(names => rule(`Programs: ${names.join('; ')}`, THROUGH, { applications: names })),
    rule('Default', DIRECT, {}),
  ];
  const socks5 = element('Proxy', { id: PROXY_ID, type: 'SOCKS5' }, [
    element('Address', {}, proxy.host),
    element('Port', {}, `${proxy.port}`),
    element('Options', {}, platform === 'windows' ? '48' : '0'),
  ]);
  const profile = element('ProxifierProfile', PROFILES[platform], [
    element('Options', {}, OPTIONS[platform]),
    element('ProxyList', {}, [socks5]),
    element('ChainList', {}),
    element('RuleList', {}, rules),
  ]);
  return xmlDocument(profile);
}

const PROFILES = {
  windows: { version: '102', platform: 'Windows', product_id: '0', product_minver: '400' },
  macos: { version: '101', platform: 'MacOSX', product_id: '2', product_minver: '200' },
};

const toggle = (name: string, isOn: boolean, more = {}): XmlElement => element(name, { enabled: `${isOn}`, ...more });

/**
 * Names are resolved by the proxy, in the cluster. The list of exceptions is not Proxifier's own, which has `*.local`: so
 * has every name of a cluster.
 */
const OPTIONS: Readonly<Record<ProxifierPlatform, readonly XmlElement[]>> = {
  windows: [
    element('Resolve', {}, [
      toggle('AutoModeDetection', false),
      toggle('ViaProxy', true),
      toggle('BlockNonATypes', false),
      element('ExclusionList', { OnlyFromListMode: 'false' }, '%ComputerName%; localhost'),
      element('DnsUdpMode', {}, '0'),
    ]),
    element('Encryption', { mode: 'disabled' }),
    toggle('ConnectionLoopDetection', true, { resolve: 'true' }),
    element('Udp', { mode: 'mode_bypass' }),
    toggle('LeakPreventionMode', false),
    toggle('ProcessOtherUsers', false),
    toggle('ProcessServices', false),
    toggle('HandleDirectConnections', false),
    toggle('HttpProxiesSupport', false),
  ],
  macos: [
    element('Resolve', {}, [
      toggle('AutoModeDetection', false),
      element('ViaProxy', { enabled: 'true' }, [toggle('TryLocalDnsFirst', false)]),
      element(
        'ExclusionList',
        {
          ExcludeSimpleHostnames: 'false',
          ExcludeLocalhost: 'true',
          ExcludeSelfHostname: 'true',
          ExcludeLocalDomain: 'false',
        },
        'localhost; %ComputerName%',
      ),
    ]),
    element('Encryption', { mode: 'disabled' }),
    toggle('HttpProxiesSupport', false),
    toggle('HandleDirectConnections', false),
    toggle('ConnectionLoopDetection', true),
    toggle('ProcessServices', false),
    toggle('ProcessOtherUsers', false),
  ],
};

const DIRECT = element('Action', { type: 'Direct' });
const THROUGH = element('Action', { type: 'Proxy' }, PROXY_ID);

interface Scope {
  readonly applications?: readonly string[];
  readonly targets?: readonly string[];
}

function rule(name: string, action: XmlElement, { applications, targets }: Scope): XmlElement {
  return element('Rule', { enabled: 'true' }, [
    element('Name', {}, name),
    ...(applications ? [element('Applications', {}, applications.map(quoted).join('; '))] : []),
    ...(targets ? [element('Targets', {}, targets.join('; '))] : []),
    action,
  ]);
}

/** Names with blanks stand in quotes. */
function quoted(name: string): string {
  return /\s/.test(name) ? `"${name}"` : name;
}
