import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { suiteResource } from '../support/suite-resource.ts';
import { startCluster } from './cluster.ts';
import { describeCluster } from './describe-cluster.ts';
import { MANY_KINDS, NAMES, RESOLV_CONFS } from './names.ts';
import { MANY } from './workloads.ts';

const LOOK_UP = fileURLToPath(new URL('programs/look-up.mjs', import.meta.url));

interface Found {
  readonly name: string;
  readonly own: readonly string[];
  readonly getent: readonly string[];
}

describeCluster(`${NAMES.length} names, ss-server’s resolver against glibc’s`, () => {
  const cluster = suiteResource(async () => {
    const started = await startCluster(MANY_KINDS);
    return { ...started, pod: started.addPod('resolving', ['10.244.0.9', 'fd00:10:244::9']) };
  });

  /** In a pod with this resolv.conf. */
  async function lookUp(names: readonly string[], title: string): Promise<Found[]> {
    const { pod, path } = await cluster();
    const [list, resolvConf] = [path(`${title}.json`), path(`${title}.conf`)];
    await writeFile(list, JSON.stringify(names));
    await writeFile(resolvConf, `${RESOLV_CONFS[title]!.join('\n')}\n`);
    const script = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"';
    const answer = await pod.run(['sh', '-ec', script, 'sh', resolvConf, process.execPath, LOOK_UP, list]);
    return JSON.parse(String(answer)) as Found[];
  }

  test.each(Object.keys(RESOLV_CONFS))('find the same: %s', async title => {
    const found = await lookUp(NAMES, title);
    expect(found).toHaveLength(NAMES.length);
    expect(found.filter(({ own, getent }) => own.join() !== getent.join())).toEqual([]);
  });

  test('of more addresses than a connection can try some are found', async () => {
    const [{ own, getent }] = (await lookUp(['many'], 'a pod')) as [Found];
    expect([...getent].sort()).toEqual([...MANY].sort());
    expect(own).toHaveLength(32);
    expect(getent).toEqual(expect.arrayContaining([...own]));
  });
});
