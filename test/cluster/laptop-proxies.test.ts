import { expect, test } from 'vitest';
import { sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { FILE_SHA256, HTTP_PORT, SOCKS_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, FROM_LAPTOP6 } from './internet.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { fetchThrough } from './laptop-curl.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { addressesOf, startDb, startWeb, WEB_ADDRESS, WEB6_ADDRESS } from './workloads.ts';

const AT = `127.0.0.1:${SOCKS_PORT}`;
const [INTERNET4, INTERNET6] = INTERNET.networks.map(({ beyond }) => beyond);
const OF_WEB = /^web-[012]$/;

/** How curl is told to go through ss-local. */
const WAYS = {
  'SOCKS5, with names': ['--proxy', `socks5h://${AT}`],
  SOCKS4a: ['--proxy', `socks4a://${AT}`],
  'HTTP, requests passed on': ['--proxy', `http://${AT}`],
  'HTTP, CONNECT': ['--proxy', `http://${AT}`, '--proxytunnel'],
} as const;

/** For programs that look names up themselves. */
const WAYS_WITHOUT_NAMES = {
  'SOCKS5, with addresses': ['--proxy', `socks5://${AT}`],
  SOCKS4: ['--proxy', `socks4://${AT}`],
} as const;

const { SOCKS4a: _, ...OTHERS } = WAYS;
const WAYS_WITH_IPV6 = { ...OTHERS, 'SOCKS5, with addresses': WAYS_WITHOUT_NAMES['SOCKS5, with addresses'] };

const IN_CLUSTER = [
  'web.default.svc.cluster.local',
  'web.default.svc',
  'web.default',
  'web',
  'web6.default.svc.cluster.local',
  WEB_ADDRESS,
];

describeCluster('curl on the laptop, with one port for all kinds of proxy', () => {
  const cluster = suiteResource(() =>
    startLaptop(async started => {
      await Promise.all([startWeb(started), startDb(started)]);
      await startInformedClient(started, { flags: ['--namespace', 'default'] });
    }),
  );

  for (const [way, options] of Object.entries(WAYS)) {
    test.each(IN_CLUSTER)(`${way}: %s`, async host => {
      expect(String(await fetchThrough(await cluster(), `http://${host}/`, ...options))).toMatch(OF_WEB);
    });

    test(`${way}: a pod by its name and address; what is large, either way`, async () => {
      const running = await cluster();
      const [ipv4] = addressesOf('db-1');
      for (const host of ['db-1.db.default.svc.cluster.local', ipv4]) {
        expect(String(await fetchThrough(running, `http://${host}:${HTTP_PORT}/`, ...options))).toBe('db-1');
      }
      expect(sha256(await fetchThrough(running, 'http://web/file', ...options))).toBe(FILE_SHA256);
      const upload = ['--upload-file', running.path('file')];
      expect(String(await fetchThrough(running, 'http://web/', ...options, ...upload))).toBe(FILE_SHA256);
    });

    test(`${way}: what is public, directly`, async () => {
      const running = await cluster();
      const byName = String(await fetchThrough(running, `http://${PUBLIC_NAME}/from`, ...options));
      expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(byName);
      expect(String(await fetchThrough(running, `http://${INTERNET4}/from`, ...options))).toBe(FROM_LAPTOP);
    });
  }

  test.each(Object.entries(WAYS_WITHOUT_NAMES))('%s', async (_, options) => {
    const running = await cluster();
    expect(String(await fetchThrough(running, `http://${WEB_ADDRESS}/`, ...options))).toMatch(OF_WEB);
    expect(String(await fetchThrough(running, `http://${INTERNET4}/from`, ...options))).toBe(FROM_LAPTOP);
  });

  test.each(Object.entries(WAYS_WITH_IPV6))('%s: IPv6', async (_, options) => {
    const running = await cluster();
    expect(String(await fetchThrough(running, `http://[${WEB6_ADDRESS}]/`, ...options))).toMatch(OF_WEB);
    expect(String(await fetchThrough(running, `http://[${INTERNET6}]/from`, ...options))).toBe(FROM_LAPTOP6);
  });
});
