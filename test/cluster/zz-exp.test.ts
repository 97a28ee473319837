import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'vitest';
import { startServerNodes } from './server-nodes.ts';
import { withLaptop } from './several-servers-laptop.ts';

for (const count of [1, 2])
test('readdress udp over tcp', { timeout: 170_000 }, async ({expect}) => {
    const running = await startServerNodes();
    try {
    const known = await Promise.all(['one', 'two'].slice(0, count).map(n => running.addNode(n)));
      await withLaptop(running, known, ['--udp-over-tcp'], async laptop => {
        const load = await laptop.startDatagrams();
        await expect.poll(() => load.results.length, {timeout: 10_000}).toBeGreaterThan(20);
        laptop.readdress();
        const before = load.results.length;
        for (let i = 0; i < 10; i++) { await sleep(3000); console.log(count, i*3+3, load.results.length - before); }
        console.log(laptop.log());
        await load.finish();
      });
    } finally { await running.close(); }
});
for (const count of [1, 2])
test('restart silently udp over tcp', { timeout: 170_000 }, async ({expect}) => {
    const running = await startServerNodes();
    try {
    const known = await Promise.all(['one', 'two'].slice(0, count).map(n => running.addNode(n)));
      await withLaptop(running, known, ['--udp-over-tcp'], async laptop => {
        const load = await laptop.startDatagrams();
        await expect.poll(() => load.results.length, {timeout: 10_000}).toBeGreaterThan(20);
        for (const n of known) { n.drop(); await n.restart(); n.pass(); }
        const before = load.results.length;
        for (let i = 0; i < 5; i++) { await sleep(3000); console.log('restart', count, i*3+3, load.results.length - before); }
        console.log(laptop.log());
        await load.finish();
      });
    } finally { await running.close(); }
});
