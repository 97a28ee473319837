import { createProgram } from '@podsocks/shared/settings/program';
import { envLayer, flagLayer } from '@podsocks/shared/settings/settings';
import { describe, expect, it } from 'vitest';
import { DNS_SETTINGS, dnsOf, parseDnsListen } from './fields.ts';

/** What a command line gives, with its warnings. */
function given(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const program = createProgram({ name: 'ss-local', version: '0', summary: '' }, DNS_SETTINGS, { write: () => {} });
  program.argument('[url]').action(() => {});
  program.parse(argv, { from: 'user' });
  const warnings: string[] = [];
  const layer = { ...envLayer(DNS_SETTINGS, env), ...flagLayer(DNS_SETTINGS, program.opts()) };
  return { config: dnsOf(layer, message => void warnings.push(message)), warnings };
}

describe('--dns', () => {
  it.each([
    [['--dns'], '127.0.0.1', 5354],
    [['--dns', '5355'], '127.0.0.1', 5355],
    [['--dns=5355'], '127.0.0.1', 5355],
    [['--dns', '127.0.0.1:53'], '127.0.0.1', 53],
    [['--dns', '192.168.1.5'], '192.168.1.5', 5354],
    [['--dns', '[::1]:53'], '::1', 53],
    [['--dns', '::1'], '::1', 5354],
    [['--dns', 'on'], '127.0.0.1', 5354],
  ])('%j listens on %s, port %i', (argv, host, port) => {
    expect(given(argv)).toEqual({
      config: { listen: [{ host, port }], servers: [], zones: [], upstreams: [] },
      warnings: [],
    });
  });

  it('is off without, and where it says so', () => {
    expect(given([]).config).toBeUndefined();
    expect(given(['--dns', 'off'], { SS_DNS: '127.0.0.1:53' }).config).toBeUndefined();
    expect(given([], { SS_DNS: 'on' }).config?.listen).toEqual([{ host: '127.0.0.1', port: 5354 }]);
  });

  it.each([
    ['ss://secret@host:1', /^--dns: is a URL; put the URL ahead of --dns, or write --dns=127\.0\.0\.1:5354$/],
    ['localhost:53', /^--dns: "localhost" is no IP address/],
    ['google', /^--dns: "google" is no IP address/],
    ['65536', /^--dns: .* is not a port/],
    ['0', /^--dns: .* is not a port/],
    ['127.0.0.1:x', /^--dns: .* is not a host/],
  ])('does not take %s', (value, message) => {
    expect(() => given(['--dns', value])).toThrow(message);
  });

  it('says nothing of a URL', () => {
    expect(() => parseDnsListen('ss://secret@host:1')).not.toThrow(/secret/);
  });
});

describe('whom to ask', () => {
  it('may be said several times', () => {
    const argv = [
      '--dns',
      '--dns-server',
      '10.96.0.10',
      '--dns-server',
      'kube-dns.kube-system:1053',
      '--dns-zone',
      'Cluster.Local.',
      '--dns-upstream',
      '[2001:db8::1]:5300',
    ];
    expect(given(argv).config).toMatchObject({
      servers: [
        { host: '10.96.0.10', port: 53 },
        { host: 'kube-dns.kube-system', port: 1053 },
      ],
      zones: ['cluster.local'],
      upstreams: [{ host: '2001:db8::1', port: 5300 }],
    });
    expect(given(['--dns'], { SS_DNS_ZONE: 'a.example, .' }).config?.zones).toEqual(['a.example', '.']);
  });

  it.each([
    [['--dns-upstream', 'dns.example'], /^--dns-upstream: "dns\.example" is no IP address/],
    [['--dns-server', '10.96.0.10:0'], /^--dns-server: no server has port 0/],
    [['--dns-zone', 'a b'], /^--dns-zone: "a b" is no domain; give one such as cluster\.local/],
    [['--dns-zone', '*.example'], /^--dns-zone: .* is no domain/],
  ])('%j is refused', (argv, message) => {
    expect(() => given(argv)).toThrow(message);
  });

  it('has no effect without --dns', () => {
    expect(given(['--dns-zone', 'a.example', '--dns-upstream', '1.1.1.1'])).toEqual({
      config: undefined,
      warnings: [
        '--dns-zone: has no effect without a local DNS server; add --dns, or leave it out',
        '--dns-upstream: has no effect without a local DNS server; add --dns, or leave it out',
      ],
    });
  });
});
