import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { DNS_ADDRESS } from './cluster-dns.ts';
import { digAt, startDatagramFront } from './datagram-forward.ts';
import { describeCluster } from './describe-cluster.ts';
import { startTunnelledCluster } from './tunnelled-cluster.ts';
import { addressesOf, PUBLIC_ADDRESS, WEB_ADDRESS, WEB6_ADDRESS } from './workloads.ts';

/** On the laptop: each leads to another target, which is CoreDNS's Service, its name, its pod, and what is outside. */
const FRONTS = [
  { port: 5301, target: DNS_ADDRESS },
  { port: 5302, target: 'kube-dns.kube-system' },
  { port: 5303, target: '10.244.0.53' },
] as const;
const REFUSED_FRONT = { port: 5304, target: PUBLIC_ADDRESS } as const;

const SUFFIX = 'svc.cluster.local';

const QUESTIONS = [
  ['A', `web.default.${SUFFIX}`, WEB_ADDRESS],
  ['AAAA', `web6.default.${SUFFIX}`, WEB6_ADDRESS],
  ['A', `db-1.db.default.${SUFFIX}`, addressesOf('db-1')[0]],
  ['SRV', `_http._tcp.web.default.${SUFFIX}`, `0 100 80 web.default.${SUFFIX}.`],
  [
    'SRV',
    `_peer._tcp.db.default.${SUFFIX}`,
    [0, 1, 2].map(number => `0 33 8080 db-${number}.db.default.${SUFFIX}.`).join('\n'),
  ],
] as const;

describeCluster('UDP from the laptop: dig, through SOCKS5 UDP ASSOCIATE', () => {
  const cluster = suiteResource(async () => {
    const started = await startTunnelledCluster(async () => {});
    for (const front of [...FRONTS, REFUSED_FRONT]) await startDatagramFront(started, started.laptop, front);
    return started;
  });

  const ask = async (port: number, ...question: string[]) => digAt((await cluster()).laptop, port, ...question);

  for (const { port, target } of FRONTS) {
    test.each(QUESTIONS)(`%s of %s, asked of ${target}`, async (type, name, answer) => {
      expect(await ask(port, '+time=2', '+tries=5', name, type)).toBe(answer);
    });
  }

  test('a datagram to what is outside is dropped, and logged', async () => {
    await expect(ask(REFUSED_FRONT.port, '+time=1', '+tries=1', 'web', 'A')).rejects.toThrow('ended with 9');
    const [server] = (await cluster()).servers;
    await expect.poll(server!.program.output, { timeout: 10_000 }).toContain('"reason":"denied"');
  });

  test('CoreDNS does not answer the laptop itself', async () => {
    const { laptop } = await cluster();
    const command = [pathOf('dig'), '+time=1', '+tries=1', `@${DNS_ADDRESS}`, 'web', 'A'] as const;
    await expect(laptop.run([...command]).then(String)).rejects.toThrow('ended with 9');
  });
});
