import { setTimeout as sleep } from 'node:timers/promises';
import { type ExpectStatic, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { podNetworkObstacle } from './pod-network.ts';
import { type ServerNode, startServerNodes } from './server-nodes.ts';
import { type SeveralServersLaptop, type TimedRequest, withLaptop } from './several-servers-laptop.ts';

/** Within which new connections are served, by another server if need be. */
const LIMIT_MS = 5_000;

/** More than the 30 s that ss-local takes for a sleep; the minute of a laptop that was closed goes the same way. */
const SUSPENDED_MS = process.env.PODSOCKS_SLOW === '1' ? 60_000 : 35_000;

const SOON = { timeout: 30_000, interval: 200 };

/** At the start each server is probed a second time after a second or two, and then one is chosen, of which nobody is told. */
const SETTLING_MS = 3_000;

/** A server that was down is looked at every 5 to 30 s, and has to stand for a while until it is gone back to. */
const RETURN = { timeout: 120_000, interval: 500 };

/** Most of the time they wait, so all of them at once take little longer than the longest. */
const TEST = { timeout: 180_000, concurrent: true };

function suite(): void {
  const nodes = suiteResource(startServerNodes);

  test(
    'the best black-holed: nothing fails, status says why, and it is gone back to once',
    TEST,
    async ({ expect }) => {
      const running = await nodes();
      const known = await Promise.all([
        running.addNode('best'),
        running.addNode('spare', { delay: 100 }),
        running.addNode('slow', { delay: 200 }),
      ]);
      await withLaptop(running, known, [], async laptop => {
        await settle(expect, laptop);
        await expect.poll(laptop.active, RETURN).toBe('best');
        const load = laptop.startRequests();
        await expectServedBy(expect, load.results, 'best', 0);

        known[0].drop();
        const since = Date.now();
        await expect.poll(laptop.active, SOON).toBe('spare');
        const table = await laptop.table();
        expect(table).toMatch(/^ +10\.\S+ +best .* unhealthy .* no answer within 2\.5 s$/m);
        expect(table).toMatch(/^\* +10\.\S+ +spare .* healthy /m);
        await expectServedBy(expect, load.results, 'spare', since);

        known[0].pass();
        await expect.poll(laptop.active, RETURN).toBe('best');
        await expectServedBy(expect, load.results, 'best', Date.now());
        expect(failures(await load.finish(), since)).toEqual([]);
        const switches = laptop.switches().filter(({ at }) => at >= since);
        expect(switches.map(({ to }) => to)).toEqual(['spare', 'best']);
      });
    },
  );

  test('suspended, and all servers started anew: the next request is served', TEST, async ({ expect }) => {
    const running = await nodes();
    const known = await Promise.all([running.addNode('known-1'), running.addNode('known-2')]);
    await withLaptop(running, known, ['--preconnect', '2'], async laptop => {
      await expect.poll(laptop.health, SOON).toEqual(['healthy', 'healthy']);
      await laptop.ask();
      laptop.signal('SIGSTOP');
      await sleep(SUSPENDED_MS);
      for (const node of known) {
        node.drop(); // or it would be told that its connections are closed, as no laptop that sleeps is
        await node.restart();
        node.pass();
      }
      laptop.signal('SIGCONT');
      expect(await laptop.ask()).toMatch(/^known-/);
      expect(laptop.log()).toContain('this machine or process has slept');
    });
  });

  test(
    'one refuses, one is black-holed, one is slow: the first request is served, and status says why',
    TEST,
    async ({ expect }) => {
      const running = await nodes();
      const known = await Promise.all([
        running.addNode('refusing', { refuses: true }),
        running.addNode('lost', { refuses: true }),
        running.addNode('far', { delay: 200 }),
      ]);
      known[1].drop();
      await withLaptop(running, known, [], async laptop => {
        expect(await laptop.ask()).toBe('far');
        const load = laptop.startRequests();
        await expect.poll(laptop.health, SOON).toEqual(['unhealthy', 'unhealthy', 'healthy']);
        const table = await laptop.table();
        expect(table).toMatch(/^ +10\.\S+ +refusing .* unhealthy .* connection refused \(ECONNREFUSED\)$/m);
        expect(table).toMatch(/^ +10\.\S+ +lost .* unhealthy .* no answer within 2\.5 s$/m);
        expect(table).toMatch(/^\* +10\.\S+ +far .* healthy /m);
        await expectServedBy(expect, load.results, 'far', Date.now());
        expect(failures(await load.finish(), 0)).toEqual([]);
      });
    },
  );

  test(
    'the one in use stopped, which its kernel does not tell: nothing fails, and soon nothing waits',
    TEST,
    async ({ expect }) => {
      const running = await nodes();
      const known = await Promise.all([running.addNode('berlin'), running.addNode('oslo')]);
      await withLaptop(running, known, [], async laptop => {
        await settle(expect, laptop);
        const [used, spare] = await byUse(laptop, known);
        const load = laptop.startRequests();
        await expectServedBy(expect, load.results, used.name, 0);
        used.signal('SIGSTOP');
        const since = Date.now();
        await expectServedBy(expect, load.results, spare.name, since + LIMIT_MS);
        expect(await laptop.table()).toMatch(
          new RegExp(`^ +10\\.\\S+ +${used.name} .* unhealthy .* no answer within 2\\.5 s$`, 'm'),
        );
        used.signal('SIGCONT');
        await expect.poll(laptop.health, SOON).toEqual(['healthy', 'healthy']);
        const requests = await load.finish();
        // Those that wait for it while it is not known to be gone are asked of the other then.
        expect(requests.filter(({ begunAt, error }) => begunAt >= since && error !== undefined)).toEqual([]);
        expect(failures(requests, since + LIMIT_MS)).toEqual([]);
      });
    },
  );

  test("the laptop's address changed: the next request is served", TEST, async ({ expect }) => {
    const running = await nodes();
    const known = await Promise.all([running.addNode('near'), running.addNode('next')]);
    // Connections that were made ahead are those of an address that is not there any more.
    for (const ahead of ['0', '2']) {
      await withLaptop(running, known, ['--preconnect', ahead], async laptop => {
        await expect.poll(laptop.health, SOON).toEqual(['healthy', 'healthy']);
        for (let i = 0; i < 3; i++) await laptop.ask();
        laptop.readdress();
        expect(await laptop.ask()).toMatch(/^near$|^next$/);
      });
    }
  });

  test("the laptop's address changed: an association over TCP goes on", TEST, async ({ expect }) => {
    const running = await nodes();
    const known = await Promise.all([running.addNode('first'), running.addNode('second')]);
    for (const count of [1, 2]) {
      await withLaptop(running, known.slice(0, count), ['--udp-over-tcp'], async laptop => {
        const load = await laptop.startDatagrams();
        await expect.poll(() => load.results.length, SOON).toBeGreaterThan(0);
        laptop.readdress();
        const before = load.results.length;
        await expect.poll(() => load.results.length, SOON).toBeGreaterThan(before + 10);
        await load.finish();
      });
    }
  });

  test('an association goes on by another server', TEST, async ({ expect }) => {
    const running = await nodes();
    const known = await Promise.all([running.addNode('one'), running.addNode('other')]);
    for (const flag of ['-u', '--udp-over-tcp']) {
      await withLaptop(running, known, [flag], async laptop => {
        await settle(expect, laptop);
        const [used, spare] = await byUse(laptop, known);
        const load = await laptop.startDatagrams();
        await expect.poll(() => load.results.at(-1)?.by, SOON).toBe(used.name);
        used.drop();
        await expect.poll(() => load.results.at(-1)!.by, SOON).toBe(spare.name);
        expect(await laptop.active()).toBe(spare.name);
        await load.finish();
        used.pass();
      });
    }
  });
}

describeWith(['ip', 'nft', 'curl'], 'several servers, under load', suite, podNetworkObstacle);

/** Until all servers are known to be healthy, and one is chosen. */
async function settle(expect: ExpectStatic, laptop: SeveralServersLaptop): Promise<void> {
  await expect.poll(async () => new Set(await laptop.health()), SOON).toEqual(new Set(['healthy']));
  await sleep(SETTLING_MS);
}

/** Of two nodes the one in use, and the other one. */
async function byUse(laptop: SeveralServersLaptop, [one, other]: readonly [ServerNode, ServerNode]) {
  return (await laptop.active()) === one.name ? ([one, other] as const) : ([other, one] as const);
}

/** Until a request that has begun since is answered by way of this node. */
async function expectServedBy(
  expect: ExpectStatic,
  requests: readonly TimedRequest[],
  node: string,
  since: number,
): Promise<void> {
  await expect.poll(() => requests.some(({ begunAt, by }) => begunAt >= since && by === node), SOON).toBe(true);
}

/** What became of those that have begun since then, and were not answered in time. */
function failures(requests: readonly TimedRequest[], since: number): object[] {
  return requests
    .filter(({ begunAt, took, by }) => begunAt >= since && (by === undefined || took > LIMIT_MS))
    .map(({ begunAt, ...rest }) => ({ after: begunAt - since, ...rest }));
}
