import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { podNetworkObstacle } from './pod-network.ts';
import { type ServerNode, startServerNodes } from './server-nodes.ts';
import { type SeveralServersLaptop, type TimedRequest, withLaptop } from './several-servers-laptop.ts';

/** Within which new connections go to another server, and are served. */
const LIMIT_MS = 5_000;
const SUSPENDED_MS = process.env.PODSOCKS_SLOW === '1' ? 60_000 : 35_000;
const SOON = { timeout: 15_000, interval: 200 };
const RETURN = { timeout: 100_000, interval: 500 };
const TEST = { timeout: 170_000, concurrent: true };

describeWith(['ip', 'nft', 'curl'], 'several servers, on networks of their own', () => {
  const nodes = suiteResource(startServerNodes);

  test('drop', TEST, async () => {
    const running = await nodes();
    const [best, spare, slow] = await Promise.all([
      running.addNode('a-1'),
      running.addNode('a-2', {delay: 100}),
      running.addNode('a-3', { delay: 200 }),
    ]);
    await withLaptop(running, [best, spare, slow], [], async laptop => {
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy', 'healthy']);
      expect(await activeOf(laptop)).toBe(best.name);
      const finish = laptop.startRequests();
      await sleep(2000);
      best.drop();
      const at = Date.now();
      await expect.poll(() => activeOf(laptop), SOON).toBe(spare.name);
      const left = Date.now() - at;
      const table = await laptop.table();
      await sleep(5000);
      best.pass();
      const healed = Date.now();
      await expect.poll(() => activeOf(laptop), RETURN).toBe(best.name);
      const back = Date.now() - healed;
      await sleep(2000);
      report('drop', await finish(), at, { left, back, table, log: laptop.log() });
    });
  });
  test('start', TEST, async () => {
    const running = await nodes();
    const [refusing, lost, slow] = await Promise.all([
      running.addNode('b-1', { refuses: true }),
      running.addNode('b-2', { refuses: true}),
      running.addNode('b-3', { delay: 200 }),
    ]);
    lost.drop();
    await withLaptop(running, [refusing, lost, slow], [], async laptop => {
      const at = Date.now();
      const first = await laptop.ask();
      const took = Date.now() - at;
      const finish = laptop.startRequests();
      await sleep(4000);
      report('start', await finish(), at, {first, took, table: await laptop.table(), log: laptop.log() });
    });
  });
  test('stop', TEST, async () => {
    const running = await nodes();
    const [best, spare] = await Promise.all([
      running.addNode('c-1'),
      running.addNode('c-2', {delay: 100}),
    ]);
    await withLaptop(running, [best, spare], [], async laptop => {
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy']);
      expect(await activeOf(laptop)).toBe(best.name);
      const finish = laptop.startRequests();
      await sleep(2000);
      best.signal('SIGSTOP');
      const at = Date.now();
      await expect.poll(() => activeOf(laptop), SOON).toBe(spare.name);
      const left = Date.now() - at;
      await sleep(5000);
      const table = await laptop.table();
      best.signal('SIGCONT');
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy']);
      await sleep(2000);
      report('stop', await finish(), at, { left, table, log: laptop.log() });
    });
  });
  test('suspend', TEST, async () => {
    const running = await nodes();
    const [best, spare] = await Promise.all([
      running.addNode('d-1'),
      running.addNode('d-2'),
    ]);
    await withLaptop(running, [best, spare], ['--preconnect', '2'], async laptop => {
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy']);
      await laptop.ask();
      laptop.signal('SIGSTOP');
      await sleep(SUSPENDED_MS);
      for (const n of [best, spare]) { n.drop(); await n.restart(); n.pass(); }
      laptop.signal('SIGCONT');
      const at = Date.now();
      const first = await laptop.ask();
      report('suspend', [], at, {first, took: Date.now() - at, table: await laptop.table(), log: laptop.log() });
    });
  });
  for (const [i, flags] of [[], ['--preconnect', '2']].entries())
  test('address', TEST, async () => {
    const running = await nodes();
    const [best, spare] = await Promise.all([
      running.addNode(`e${i}-1`),
      running.addNode(`e${i}-2`),
    ]);
    await withLaptop(running, [best, spare], flags, async laptop => {
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy']);
      await laptop.ask();
      await laptop.ask();
      await sleep(6000);
      await laptop.ask();
      laptop.readdress();
      const at = Date.now();
      const first = await laptop.ask().catch(e => String(e).slice(0,500));
      const took= Date.now() - at;
      const second = await laptop.ask().catch(e => String(e).slice(0,500));
      await sleep(6000);
      const third = await laptop.ask();
      report('address' + i, [], at, {first, took, second, third, table: await laptop.table(), log: laptop.log() });
    });
  });
  for (const [i, flags] of [['-u'], ['--udp-over-tcp']].entries())
  test('udp', TEST, async () => {
    const running = await nodes();
    const [best, spare] = await Promise.all([
      running.addNode(`f${i}-1`),
      running.addNode(`f${i}-2`, {delay: 100}),
    ]);
    await withLaptop(running, [best, spare], flags, async laptop => {
      await expect.poll(() => healthOf(laptop), SOON).toEqual(['healthy', 'healthy']);
      expect(await activeOf(laptop)).toBe(best.name);
      const finish = await laptop.startDatagrams();
      await sleep(2000);
      best.drop();
      const at = Date.now();
      await expect.poll(() => activeOf(laptop), SOON).toBe(spare.name);
      const left = Date.now() - at;
      await sleep(2000);
      const answers = await finish();
      const by: Record<string, number> = {};
      for (const r of answers) by[r.by] = (by[r.by] ?? 0) + 1;
      report('udp' + i, [], at, {by, left, log: laptop.log() });
    });
  });
}, podNetworkObstacle);

function report(what: string, requests: readonly TimedRequest[], at: number, {table, log, ...rest}: any) {
      const by: Record<string, number> = {};
      for (const r of requests) by[r.by ?? r.error ?? ''] = (by[r.by ?? r.error ?? ''] ?? 0) + 1;
      const odd = requests.filter(({ took, error }) => error || took > 1000).map(r => ({ ...r, begunAt: r.begunAt - at }));
      console.log(what, rest, by, odd.length, odd.slice(0, 5), odd.slice(-5));
      console.log(table + '\n' + log.split('\n').filter((l: string) => /^\{/.test(l)).map((l: string) => { const j = JSON.parse(l); return `${j.level} ${Date.parse(j.time) - at} ${j.msg}`}).join('\n'));
}

async function healthOf(laptop: SeveralServersLaptop): Promise<string[]> {
  return (await laptop.status()).servers.map(({ health }) => health);
}

async function activeOf(laptop: SeveralServersLaptop): Promise<string | undefined> {
  return (await laptop.status()).servers.find(({ active }) => active)?.name;
}
