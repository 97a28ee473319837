import { describe, expect, test } from 'vitest';
import type { ProgramRun } from '../support/program-run.ts';
import { pathOf } from '../support/programs.ts';
import { commandOf } from '../support/shadowsocks-ends.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { describeCluster } from './describe-cluster.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { type DnsmasqLaptop, startDnsmasqLaptop, startPublicDns } from './laptop-dnsmasq.ts';
import { INTERNET, PUBLIC_NAME } from './machines.ts';
import { addressesOf, MANY, WEB_ADDRESS, WEB6_ADDRESS } from './workloads.ts';

const SUFFIX = 'svc.cluster.local';
const WEB = `web.default.${SUFFIX}`;
const WEB6 = `web6.default.${SUFFIX}`;
const [DB4, DB6] = addressesOf('db-1');
const [PUBLIC4, PUBLIC6] = INTERNET.networks.map(({ beyond }) => beyond);

interface NamedLaptop {
  readonly laptop: DnsmasqLaptop;
  readonly publicDns: ProgramRun;
  logs(): string;
  close(): Promise<void>;
}

/** The way that people come to it: ss-local --dns, and nothing of it installed yet. */
async function startNamedLaptop(): Promise<NamedLaptop> {
  let [laptop, publicDns]: [DnsmasqLaptop?, ProgramRun?] = [];
  const { logs, close } = await startLaptop(async started => {
    publicDns = await startPublicDns(started, started.internet);
    laptop = await startDnsmasqLaptop(started);
    await startInformedClient(started, { on: laptop, flags: ['--dns'] });
  });
  return { laptop: laptop!, publicDns: publicDns!, logs, close };
}

const PROGRAMS = ['dnsmasq', 'nslookup', 'getent'] as const;

describeCluster(
  'the laptop’s own DNS, by ss-local dns install',
  () => {
    const machine = suiteResource(startNamedLaptop);
    const run = runOn(machine);
    const dns = (...words: string[]) => run(...commandOf('podsocks', 'client'), 'dns', ...words);

    test('is shown, done, left as it is, and undone without a trace', async () => {
      const { laptop, publicDns } = await machine();
      const before = await laptop.etc();
      const text = await dns('print', '--backend', 'dnsmasq');
      expect(text).toMatch(/^write \/etc\/dnsmasq\.d\/podsocks\.conf\n.*server=\/cluster\.local\/127\.0\.0\.1#5354\n/s);
      expect(await laptop.etc()).toEqual(before);
      expect(await dig(run, WEB, 'A')).toBe('');

      expect(await dns('install')).toMatch(/^installed: dnsmasq sends cluster\.local, .*96\.10\.in-addr\.arpa/m);
      const { '/dnsmasq.d/podsocks.conf': conf, ...others } = await laptop.etc();
      expect(others).toEqual(before);
      expect(conf).toContain('server=/cluster.local/127.0.0.1#5354\n');
      expect(await dig(run, WEB, 'A')).toBe(WEB_ADDRESS);
      expect(await dns('install')).toMatch(/^already installed/);

      expect(await dns('uninstall')).toMatch(/^uninstalled: dnsmasq$/m);
      expect(await laptop.etc()).toEqual(before);
      expect(await dig(run, WEB, 'A')).toBe('');
      expect(publicDns.output()).toContain(`query[A] ${WEB}`);
      expect(await dns('uninstall')).toBe('nothing is installed\n');
    });
  },
  PROGRAMS,
);

describeCluster(
  'names on the laptop',
  () => {
    const machine = suiteResource(async () => {
      const started = await startNamedLaptop();
      await started.laptop.run([...commandOf('podsocks', 'client'), 'dns', 'install']);
      return started;
    });
    const run = runOn(machine);

    describe('dig', () => {
      test.each([
        ['A', WEB, WEB_ADDRESS],
        ['AAAA', WEB6, WEB6_ADDRESS],
        ['A', `db-1.db.default.${SUFFIX}`, DB4],
        ['AAAA', `db-1.db.default.${SUFFIX}`, DB6],
        ['SRV', `_http._tcp.${WEB}`, `0 100 80 ${WEB}.`],
        ['SRV', `_peer._tcp.db.default.${SUFFIX}`, [0, 1, 2].map(peer).join('\n')],
        ['TXT', `info.default.${SUFFIX}`, '"not an address"'],
        ['CNAME', `external.default.${SUFFIX}`, 'legacy.corp.example.'],
        ['A', `nobody.default.${SUFFIX}`, ''],
        ['A', PUBLIC_NAME, PUBLIC4],
        ['AAAA', PUBLIC_NAME, PUBLIC6],
      ])('%s of %s', async (type, name, answer) => {
        expect(await dig(run, name, type)).toBe(answer);
        expect(await dig(run, '+tcp', name, type)).toBe(answer);
      });

      test.each([
        ['a Service', WEB_ADDRESS, WEB],
        ['a Service, IPv6', WEB6_ADDRESS, WEB6],
        ['a pod', DB4, `db-1.db.default.${SUFFIX}`],
        ['a pod, IPv6', DB6, `db-1.db.default.${SUFFIX}`],
      ])('PTR of %s', async (_, address, name) => {
        expect(await dig(run, '-x', address)).toBe(`${name}.`);
      });

      test('more than a datagram holds', async () => {
        const found = await dig(run, `many.default.${SUFFIX}`, 'A');
        expect(found.split('\n').sort()).toEqual([...MANY].sort());
      });
    });

    test.each([
      [[WEB], new RegExp(`^Server:\\s+127\\.0\\.0\\.1\\n.*Name:\\s*${WEB}\\nAddress: ${WEB_ADDRESS}\\n`, 's')],
      [[WEB_ADDRESS], new RegExp(`name = ${WEB}\\.`)],
      [[DB6], new RegExp(`name = db-1\\.db\\.default\\.${SUFFIX}\\.`)],
      [['-type=SRV', `_http._tcp.${WEB}`], new RegExp(`service = 0 100 80 ${WEB}\\.`)],
      [[PUBLIC_NAME], new RegExp(`Address: ${PUBLIC4}\\n`)],
    ])('nslookup %s', async (words, answer) => {
      expect(await run(pathOf('nslookup'), ...words)).toMatch(answer);
    });

    test.each([
      [['ahostsv4', WEB], WEB_ADDRESS],
      [['hosts', WEB6], `${WEB6_ADDRESS} ${WEB6}`],
      [['hosts', WEB_ADDRESS], `${WEB_ADDRESS} ${WEB}`],
      [['hosts', DB6], `${DB6} db-1.db.default.${SUFFIX}`],
      [['ahostsv4', PUBLIC_NAME], PUBLIC4],
    ])('getent %s', async (words, answer) => {
      expect((await run(pathOf('getent'), ...words)).replace(/ +/g, ' ')).toContain(answer);
    });

    test('nothing of the cluster was asked of the public DNS', async () => {
      const { publicDns } = await machine();
      await dig(run, WEB, 'A');
      await dig(run, '-x', WEB_ADDRESS);
      await dig(run, 'last.public.example', 'A');
      await expect.poll(publicDns.output).toContain('query[A] last.public.example');
      expect(publicDns.output()).not.toMatch(/cluster\.local|96\.10\.in-addr|query\[PTR\]/);
    });
  },
  PROGRAMS,
);

function peer(number: number): string {
  return `0 33 8080 db-${number}.db.default.${SUFFIX}.`;
}

type Run = (command: string, ...args: readonly string[]) => Promise<string>;

function runOn(machine: () => Promise<NamedLaptop>): Run {
  return async (command, ...args) => {
    const { laptop, logs } = await machine();
    try {
      return String(await laptop.run([command, ...args]));
    } catch (error) {
      (error as Error).message += logs();
      throw error;
    }
  };
}

/** The data of the answers, in order; nobody is named to ask. */
async function dig(run: Run, ...question: readonly string[]): Promise<string> {
  const said = await run(pathOf('dig'), '+short', '+time=5', '+tries=1', ...question);
  return said.trim().split('\n').sort().join('\n');
}
