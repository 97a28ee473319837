import { readFile, rm } from 'node:fs/promises';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT, SOCKS_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, FROM_LAPTOP6 } from './internet.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { fetchDirectly, fetchThrough } from './laptop-curl.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { addressesOf, startDb, startWeb, WEB_ADDRESS } from './workloads.ts';

const PAC_URL = `http://127.0.0.1:${SOCKS_PORT}/proxy.pac`;
const WEB = 'web.default.svc.cluster.local';
const PUBLIC_ADDRESSES = INTERNET.networks.map(({ beyond }) =>
  beyond.includes(':') ? `[${beyond}]:80` : `${beyond}:80`,
);
const OF_WEB = /^web-[012]$/;

describeCluster('proxy auto-configuration of the laptop', () => {
  const cluster = suiteResource(() =>
    startLaptop(async started => {
      await Promise.all([startWeb(started), startDb(started)]);
      await startInformedClient(started);
    }),
  );

  describe('curl does as it says', () => {
    test.each([
      [`http://${WEB}/`, OF_WEB],
      ['http://web.default/', OF_WEB],
      [`http://${WEB_ADDRESS}/`, OF_WEB],
      [`http://db-0.db.default.svc:${HTTP_PORT}/`, /^db-0$/],
      [`http://[${addressesOf('db-2')[1]}]:${HTTP_PORT}/`, /^db-2$/],
    ])('%s through each of the proxies', async (url, answer) => {
      const running = await cluster();
      const proxies = await proxiesFor(url);
      expect(proxies).toEqual([`http://127.0.0.1:${SOCKS_PORT}`, `socks5h://127.0.0.1:${SOCKS_PORT}`]);
      for (const proxy of proxies) {
        expect(String(await fetchThrough(running, url, '--proxy', proxy!))).toMatch(answer);
      }
    });

    test('what is public directly', async () => {
      const url = `http://${PUBLIC_NAME}/from`;
      expect(await proxiesFor(url)).toEqual([undefined]);
      expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(String(await fetchDirectly(await cluster(), url)));
    });

    /** As a browser's engine runs it: curl's words for proxies, undefined for none. */
    async function proxiesFor(url: string): Promise<(string | undefined)[]> {
      const pac = String(await fetchDirectly(await cluster(), PAC_URL));
      const context = createContext(Object.create(null));
      const { hostname } = new URL(url);
      const [address, host] = [url, hostname.replace(/^\[|\]$/g, '')].map(text => JSON.stringify(text));
      const found = runInContext(`${pac};FindProxyForURL(${address}, ${host})`, context) as string;
      return found.split(/; */).map(word => {
        const [kind = '', proxy] = word.split(' ');
        return { PROXY: `http://${proxy}`, SOCKS5: `socks5h://${proxy}` }[kind];
      });
    }
  });

  describeWith(['chromium'], 'Chromium does as it says', () => {
    test.each([
      [
        'a page of the cluster, with a script of a public site',
        WEB,
        PUBLIC_NAME,
        /<p>web-[012]<.* and public<\/body>/s,
      ],
      ['a public page, with a script of the cluster', PUBLIC_NAME, WEB, /<p>public<.* and web-[012]<\/body>/s],
    ])('%s', async (_, page, script, dom) => {
      const rendered = await render(`http://${page}/page?with=http://${script}`);
      expect(rendered.dom).toMatch(dom);
      expect(rendered.connectedTo).toContain(`127.0.0.1:${SOCKS_PORT}`);
      const elsewhere = rendered.connectedTo.filter(address => address !== `127.0.0.1:${SOCKS_PORT}`);
      expect(elsewhere).not.toEqual([]);
      expect(PUBLIC_ADDRESSES).toEqual(expect.arrayContaining(elsewhere));
    });

    /** What a page has become once its scripts have run, and whom the browser has connected to for it. */
    async function render(url: string): Promise<{ dom: string; connectedTo: string[] }> {
      const { laptop, path, logs } = await cluster();
      const [profile, netLog] = [path('chromium'), path('chromium.json')];
      const quiet = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'];
      const where = [`--user-data-dir=${profile}`, `--log-net-log=${netLog}`, `--proxy-pac-url=${PAC_URL}`];
      const options = ['--headless=new', ...quiet, ...where, '--virtual-time-budget=10000', '--dump-dom'];
      try {
        const dom = String(await laptop.run([pathOf('chromium'), ...options, url]));
        return { dom, connectedTo: connectionsIn(await readFile(netLog, 'utf8')) };
      } catch (error) {
        (error as Error).message += logs();
        throw error;
      } finally {
        await rm(profile, { recursive: true, force: true });
      }
    }
  });
});

interface NetLog {
  readonly constants: { readonly logEventTypes: Readonly<Record<string, number>> };
  readonly events: readonly { readonly type: number; readonly params?: { readonly address?: string } }[];
}

/** Addresses and ports. */
function connectionsIn(netLog: string): string[] {
  const { constants, events } = JSON.parse(netLog) as NetLog;
  const attempts = events.filter(({ type }) => type === constants.logEventTypes.TCP_CONNECT_ATTEMPT);
  return [...new Set(attempts.flatMap(({ params }) => params?.address ?? []))];
}
