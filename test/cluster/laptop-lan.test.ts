import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { pathOf } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { SOCKS_PORT } from './cluster.ts';
import { DNS_ADDRESS } from './cluster-dns.ts';
import { digAt, startDatagramFront } from './datagram-forward.ts';
import { describeCluster } from './describe-cluster.ts';
import { FROM_LAPTOP, PUBLIC_ANSWER, startWebServer } from './internet.ts';
import { startInformedClient, startLaptop } from './laptop.ts';
import { HOME_NAME, INTERNET, NEIGHBOUR, PUBLIC_NAME } from './machines.ts';
import { type Host, LAPTOP_ADDRESS, NODE_ADDRESS } from './pod-network.ts';
import { startWeb, WEB_ADDRESS } from './workloads.ts';

const PASSWORD = 'correct horse';
const ACCESS = `ada:${PASSWORD}`;
const [LAPTOP, LAPTOP6] = NEIGHBOUR.networks.map(({ laptop }) => laptop) as [string, string];
const WEB = 'web.default.svc.cluster.local';
const OF_WEB = /^web-[012]$/;
const [{ beyond: PUBLIC4 }] = INTERNET.networks;

/** Each is an ss-local of the laptop's. */
const SHARED = SOCKS_PORT;
const FOR_OTHERS = 1081;
const OPEN = 1082;
const MOST_OF_ONE = 4;

/** Of the laptop, on all its addresses. */
const PRIVATE_PORT = 8081;
const PRIVATE_ANSWER = 'private';
const DNS_PORT = 5354;

/** Of the neighbour, and where they lead. */
const [TO_CLUSTER, TO_LOOPBACK, TO_LAPTOP] = [5301, 5302, 5303] as const;

const WAYS = {
  SOCKS5: (port: number, host = LAPTOP) => ['--proxy', `socks5h://${host}:${port}`],
  'HTTP, requests passed on': (port: number, host = LAPTOP) => ['--proxy', `http://${host}:${port}`],
  'HTTP, CONNECT': (port: number, host = LAPTOP) => ['--proxy', `http://${host}:${port}`, '--proxytunnel'],
} as const;

/** Of curl: an HTTP status of 400 or more, no answer, a connection that was reset, or the proxy's no. */
const REFUSED = /ended with (22|52|56|97) /;
/** Reset at once, or a moment later. */
const TURNED_AWAY = /ended with (7|52|56|97) /;

/** What the laptop is to itself and the neighbour. */
const OF_THE_LAPTOP = [
  ...['127.0.0.1', '127.9.9.9', '0.0.0.0', 'localhost', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'],
  ...[LAPTOP, `[${LAPTOP6}]`, LAPTOP_ADDRESS, INTERNET.networks[0].laptop, HOME_NAME],
];

describeCluster('another machine of the laptop’s network, and ss-local --lan', () => {
  const cluster = suiteResource(async () => {
    const others: { neighbour?: Host; printed?: string } = {};
    const started = await startLaptop(async laptop => {
      others.neighbour = laptop.addMachine(NEIGHBOUR);
      await Promise.all([startWeb(laptop), startWebServer(laptop, laptop.laptop, PRIVATE_ANSWER, PRIVATE_PORT)]);
      const file = laptop.path('password');
      await writeFile(file, PASSWORD, { mode: 0o600 });
      const access = ['--socks-username', 'ada', '--socks-password-file', file];
      const shared = await startInformedClient(laptop, {
        flags: ['--lan', ...access, '--dns', '--direct', '127.0.0.0/8'],
      });
      await startInformedClient(laptop, {
        port: FOR_OTHERS,
        flags: ['--lan', '--lan-allow', '172.16.0.0/12', '--lan-allow', '192.168.78.0/24', ...access],
      });
      const most = ['--max-connections-per-client', `${MOST_OF_ONE}`];
      const open = await startInformedClient(laptop, { port: OPEN, flags: ['--lan', '--lan-open', ...most] });
      others.printed = shared.output() + open.output();
    });
    const { neighbour, printed } = others as Required<typeof others>;
    const proxy = `socks5://${encodeURI(ACCESS)}@${LAPTOP}:${SHARED}`;
    for (const [port, target, targetPort] of [
      [TO_CLUSTER, DNS_ADDRESS, 53],
      [TO_LOOPBACK, '127.0.0.1', DNS_PORT],
      [TO_LAPTOP, LAPTOP, DNS_PORT],
    ] as const) {
      await startDatagramFront(started, neighbour, { port, target, targetPort, proxy });
    }
    return { ...started, neighbour, printed };
  });

  /** On the neighbour. */
  async function fetch(url: string, ...options: readonly string[]): Promise<string> {
    const { neighbour, logs } = await cluster();
    try {
      const common = ['-q', '--silent', '--show-error', '--fail', '--globoff', '--max-time', '20'];
      return String(await neighbour.run([pathOf('curl'), ...common, ...options, url]));
    } catch (error) {
      (error as Error).message += logs();
      throw error;
    }
  }

  /** On the laptop itself. */
  async function fetchAtHome(url: string, ...options: readonly string[]): Promise<string> {
    const { laptop } = await cluster();
    return String(await laptop.run([pathOf('curl'), '-q', '-sS', '--fail', '--max-time', '20', ...options, url]));
  }

  test('nothing of the cluster or the internet is reached without it', async () => {
    for (const host of [WEB_ADDRESS, NODE_ADDRESS, PUBLIC4]) {
      await expect(fetch(`http://${host}/`, '--max-time', '3')).rejects.toThrow(/ended with (7|28) /);
    }
  });

  for (const [way, through] of Object.entries(WAYS)) {
    test(`${way}, with the password: the cluster, and what is public`, async () => {
      const access = ['--proxy-user', ACCESS];
      for (const host of [LAPTOP, `[${LAPTOP6}]`]) {
        expect(await fetch(`http://${WEB}/`, ...through(SHARED, host), ...access)).toMatch(OF_WEB);
      }
      expect(await fetch(`http://${WEB_ADDRESS}/`, ...through(SHARED), ...access)).toMatch(OF_WEB);
      expect(await fetch(`http://${PUBLIC_NAME}/`, ...through(SHARED), ...access)).toBe(PUBLIC_ANSWER);
      expect(await fetch(`http://${PUBLIC4}/from`, ...through(SHARED), ...access)).toBe(FROM_LAPTOP);
    });

    test(`${way}, with another password, another name, or none: refused`, async () => {
      for (const access of [['--proxy-user', 'ada:wrong'], ['--proxy-user', `eve:${PASSWORD}`], []]) {
        await expect(fetch(`http://${WEB}/`, ...through(SHARED), ...access)).rejects.toThrow(REFUSED);
      }
    });

    test(`${way}: what is the laptop’s own is not reached`, async () => {
      const access = ['--proxy-user', ACCESS];
      for (const host of OF_THE_LAPTOP) {
        const url = `http://${host}:${PRIVATE_PORT}/`;
        await expect(fetch(url, ...through(SHARED), ...access), host).rejects.toThrow(REFUSED);
        await expect(fetch(url, ...through(OPEN)), host).rejects.toThrow(REFUSED);
      }
    });

    test(`${way}: whose network is not let in is turned away, with the password`, async () => {
      const access = ['--proxy-user', ACCESS];
      await expect(fetch(`http://${WEB}/`, ...through(FOR_OTHERS), ...access)).rejects.toThrow(TURNED_AWAY);
      expect(await fetchAtHome(`http://${WEB}/`, ...through(FOR_OTHERS, '127.0.0.1'), ...access)).toMatch(OF_WEB);
    });

    test(`${way}: an open one asks for nothing`, async () => {
      expect(await fetch(`http://${WEB}/`, ...through(OPEN))).toMatch(OF_WEB);
    });
  }

  test('SOCKS4a, which has no password, is refused', async () => {
    const proxy = (port: number) => ['--proxy', `socks4a://ada@${LAPTOP}:${port}`];
    await expect(fetch(`http://${WEB}/`, ...proxy(SHARED))).rejects.toThrow(REFUSED);
    expect(await fetch(`http://${WEB}/`, ...proxy(OPEN))).toMatch(OF_WEB);
  });

  test('what is the laptop’s own is there: for the laptop through ss-local, and for the neighbour without it', async () => {
    const access = ['--proxy-user', ACCESS];
    for (const through of Object.values(WAYS)) {
      const url = `http://127.0.0.1:${PRIVATE_PORT}/`;
      expect(await fetchAtHome(url, ...through(SHARED, '127.0.0.1'), ...access)).toBe(PRIVATE_ANSWER);
    }
    expect(await fetch(`http://${LAPTOP}:${PRIVATE_PORT}/`)).toBe(PRIVATE_ANSWER);
  });

  test('its pages: the PAC file for all, with the address that they know; how it is for the laptop only', async () => {
    const at = `${LAPTOP}:${SHARED}`;
    expect(await fetch(`http://${at}/proxy.pac`)).toContain(`"PROXY ${at}; SOCKS5 ${at}"`);
    for (const page of ['', 'v1/status']) {
      for (const access of [[], ['--user', ACCESS]]) {
        await expect(fetch(`http://${at}/${page}`, ...access)).rejects.toThrow('returned error: 403');
      }
      // As something else's.
      for (const host of OF_THE_LAPTOP) {
        const through = WAYS['HTTP, requests passed on'](SHARED);
        const url = `http://${host}:${SHARED}/${page}`;
        await expect(fetch(url, ...through, '--proxy-user', ACCESS, '--user', ACCESS), host).rejects.toThrow(REFUSED);
      }
    }
    expect(await fetchAtHome(`http://127.0.0.1:${SHARED}/v1/status`, '--user', ACCESS)).toContain(
      '"asksForPassword": true',
    );
  });

  test('what it prints can be typed on the other machine', async () => {
    const { printed } = await cluster();
    expect(printed).toContain(` socks5h://USER:PASSWORD@${LAPTOP}:${SHARED} `);
    expect(printed).toContain(` socks5h://${LAPTOP}:${OPEN} `);
  });

  test('UDP ASSOCIATE: the cluster’s DNS answers; what is the laptop’s own does not', async () => {
    const { neighbour, logs } = await cluster();
    const patiently = ['+time=2', '+tries=5'];
    expect(await digAt(neighbour, TO_CLUSTER, ...patiently, WEB, 'A')).toBe(WEB_ADDRESS);
    for (const port of [TO_LOOPBACK, TO_LAPTOP]) {
      await expect(digAt(neighbour, port, '+time=1', '+tries=1', WEB, 'A')).rejects.toThrow('ended with 9 ');
    }
    await expect.poll(logs, { timeout: 10_000 }).toContain('"reason":"denied"');
  });

  test('one machine has so many connections, and another has its own', async () => {
    const status = async () => {
      const text = await fetchAtHome(`http://127.0.0.1:${OPEN}/v1/status`);
      return (JSON.parse(text) as { connections: { open: number } }).connections.open;
    };
    const slow = `http://${WEB}/file?within=2000`;
    const downloads = Array.from({ length: MOST_OF_ONE }, () => fetch(slow, ...WAYS.SOCKS5(OPEN)));
    await expect.poll(status, { interval: 20 }).toBe(MOST_OF_ONE);
    await expect(fetch(`http://${WEB}/`, ...WAYS.SOCKS5(OPEN))).rejects.toThrow(TURNED_AWAY);
    expect(await fetchAtHome(`http://${WEB}/`, ...WAYS.SOCKS5(OPEN, '127.0.0.1'))).toMatch(OF_WEB);
    await Promise.all(downloads);
    await expect.poll(() => fetch(`http://${WEB}/`, ...WAYS.SOCKS5(OPEN)).catch(String)).toMatch(OF_WEB);
  });
});
