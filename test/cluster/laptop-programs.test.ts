import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { buildFetch, goObstacle } from '../interop/go-program.ts';
import { describeWhereNodeReadsVariables } from '../support/node-proxy-variables.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { HTTP_PORT } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, FROM_LAPTOP6, PUBLIC_ANSWER } from './internet.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { startDb, startWeb } from './workloads.ts';

const WEB = 'web.default.svc.cluster.local';
const OF_WEB = /^web-[012]$/;
const DB_URL = `http://db-1.db.default.svc.cluster.local:${HTTP_PORT}/`;

const program = (name: string) => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

describeCluster('programs on the laptop, by ss-local run', () => {
  const cluster = suiteResource(() =>
    startLaptop(async started => {
      await Promise.all([startWeb(started), startDb(started)]);
      await startInformedClient(started);
    }),
  );

  const client = commandOf('podsocks', 'client');

  /** By the ss-local that runs, if it is not started with what it needs to start one. @returns what the program prints. */
  async function run(command: readonly string[], ssLocal: readonly [string, ...string[]] = client): Promise<string> {
    const { laptop, logs } = await cluster();
    try {
      return String(await laptop.run([...ssLocal, 'run', '--', ...command]));
    } catch (error) {
      (error as Error).message += logs();
      throw error;
    }
  }

  /** Each URL is the last argument. */
  async function expectBoth(...command: readonly string[]): Promise<void> {
    expect(await run([...command, `http://${WEB}/`])).toMatch(OF_WEB);
    expect(await run([...command, DB_URL])).toBe('db-1');
    expect([FROM_LAPTOP, FROM_LAPTOP6]).toContain(await run([...command, `http://${PUBLIC_NAME}/from`]));
  }

  test('without it nothing of the cluster is found', async () => {
    const { laptop } = await cluster();
    await expect(laptop.run([pathOf('curl'), '-q', '-sS', `http://${WEB}/`])).rejects.toThrow('ended with 6');
  });

  describeWith(['java'], 'a JVM', () => {
    const java = fileURLToPath(new URL('../interop/java/ThroughProxies.java', import.meta.url));
    test.each(['url', 'client', 'unresolved'])('%s', async how => {
      expect(await run([pathOf('java'), java, how, WEB, '80'])).toMatch(OF_WEB);
    });
    test('what is public', async () => {
      expect(await run([pathOf('java'), java, 'client', INTERNET.networks[0].beyond, '80'])).toBe(PUBLIC_ANSWER);
    });
  });

  describeWith(['python3 with PySocks'], 'Python', () => {
    const expectPython = (...args: string[]) => expectBoth(pathOf('python3 with PySocks'), ...args);
    const urllib = 'import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())';
    test('urllib', () => expectPython('-c', urllib));
    test('PySocks', () => expectPython(program('fetch_by_all_proxy.py')));
  });

  describeWith(
    [],
    'a static Go program',
    () => {
      const fetch = suiteResource(() => buildFetch());
      test('net/http', async () => expectBoth((await fetch()).path));
      test('net/http, of an ss-local that is there as long as the program runs', async () => {
        const { path } = await fetch();
        const { clientCommand } = await cluster();
        const ofItsOwn = [...clientCommand, '-l', '1090'] as const;
        expect(await run([path, `http://${PUBLIC_NAME}/from`], [...ofItsOwn])).toMatch(/^public from /);
        expect(await run([path, `http://${WEB}/`], [...ofItsOwn])).toMatch(OF_WEB);
      });
    },
    goObstacle,
  );

  describe('Node.js', () => {
    test('socks', () => expectBoth(process.execPath, program('fetch-by-all-proxy.mjs')));
  });

  describeWhereNodeReadsVariables('Node.js with NODE_USE_ENV_PROXY', () => {
    const fetch = 'fetch(process.argv[1]).then(async r => process.stdout.write(await r.text()))';
    const get = 'require("http").get(process.argv[1], r => r.pipe(process.stdout))';
    test('fetch', () => expectBoth(process.execPath, '-e', fetch));
    test('http.get', () => expectBoth(process.execPath, '-e', get));
  });
});
