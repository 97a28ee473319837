import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT, NODE_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { fetchDirectly, fetchThrough } from './laptop-curl.ts';
import { NODE_ADDRESS } from './pod-network.ts';
import { startTunnelledCluster } from './tunnelled-cluster.ts';
import {
  addressesOf,
  METADATA_ADDRESS,
  PUBLIC_ADDRESS,
  startDb,
  startOthers,
  startWeb,
  WEB_ADDRESS,
  WEB6_ADDRESS,
} from './workloads.ts';

const AT_POD = `:${HTTP_PORT}`;
const OF_WEB = /^web-[012]$/;
const OF_DB = /^db-[012]$/;

/** What a laptop wants to go to, and who answers. */
const DESTINATIONS: readonly (readonly [host: string, answer: RegExp])[] = [
  ['web', OF_WEB],
  ['web.default', OF_WEB],
  ['web.default.svc', OF_WEB],
  ['web.default.svc.cluster.local', OF_WEB],
  ['web.default.svc.cluster.local.', OF_WEB],
  ['WEB.Default', OF_WEB],
  [WEB_ADDRESS, OF_WEB],
  ['web6', OF_WEB],
  [`[${WEB6_ADDRESS}]`, OF_WEB],
  ['dual', OF_WEB],
  [`db-0.db.default.svc.cluster.local${AT_POD}`, /^db-0$/],
  [`db-1.db${AT_POD}`, /^db-1$/],
  [`db${AT_POD}`, OF_DB],
  [`${addressesOf('web-1')[0]}${AT_POD}`, /^web-1$/],
  [`[${addressesOf('db-2')[1]}]${AT_POD}`, /^db-2$/],
  [`external${AT_POD}`, /^legacy$/],
  [`many${AT_POD}`, /^many$/],
];

/** Of curl: no such name, no connection. */
const NO_WAY = /ended with (6|7) /;

/** Where the policy of the cluster's networks lets nobody go, though it could be reached. */
const REFUSED = [
  `${PUBLIC_ADDRESS}${AT_POD}`,
  `www.example.com${AT_POD}`,
  `outside${AT_POD}`,
  `${METADATA_ADDRESS}${AT_POD}`,
  `metadata.example${AT_POD}`,
  'loopback.example:8388',
];
const OWN_NODE_PORT = `${NODE_ADDRESS}:${NODE_PORT}`;

describeCluster('from the laptop', () => {
  const cluster = suiteResource(() =>
    startTunnelledCluster(started => Promise.all([startWeb(started), startDb(started), startOthers(started)])),
  );

  test.each(DESTINATIONS)('%s is reached', async (host, answer) => {
    expect(String(await fetchThrough(await cluster(), `http://${host}/`))).toMatch(answer);
  });

  test('all pods behind a Service are reached, and all of a headless one', async () => {
    for (const [host, pods] of [
      ['web', 3],
      [`db${AT_POD}`, 3],
    ] as const) {
      const running = await cluster();
      const answers = await Promise.all(Array.from({ length: 30 }, () => fetchThrough(running, `http://${host}/`)));
      expect(new Set(answers.map(String)).size).toBe(pods);
    }
  });

  test('the name with 100 addresses was asked for by TCP', async () => {
    const running = await cluster();
    await fetchThrough(running, `http://many.default${AT_POD}/`);
    expect(running.dns.program.output()).toMatch(/many\.default\.svc\.cluster\.local\. A tcp NOERROR/);
  });

  test('none of them is reached without the proxy', async () => {
    const running = await cluster();
    const hosts = [...DESTINATIONS.map(([host]) => host), ...REFUSED];
    const answers = await Promise.all(
      hosts.map(host => fetchDirectly(running, `http://${host}/`).then(String, (error: Error) => error.message)),
    );
    for (const answer of answers) expect(answer).toMatch(NO_WAY);
  });

  test.each([...REFUSED, OWN_NODE_PORT])('%s is refused', async host => {
    const running = await cluster();
    const [server] = running.servers;
    const url = `http://${host}/`;
    await expect(fetchThrough(running, url)).rejects.toThrow(/ended with (52|56|97)/);
    await expect.poll(server!.program.output, { timeout: 10_000 }).toContain(`${host}: not allowed (`);
  });

  test('what is refused could be reached from the server’s pod', async () => {
    const [server] = (await cluster()).servers;
    for (const host of [PUBLIC_ADDRESS, 'www.example.com', 'outside', METADATA_ADDRESS]) {
      const command = [pathOf('curl'), '-q', '-sS', '--noproxy', '*', `http://${host}${AT_POD}/`] as const;
      expect(String(await server!.run([...command]))).toBe('public');
    }
  });
});
