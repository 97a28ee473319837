import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadServer } from '../../packages/server/src/config.ts';
import { run, SERVER } from '../support/own-program.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { builtBy, type Target } from './support/build.ts';
import { METRICS, REASONS } from './support/metrics.ts';
import { type DeploymentSpec, type KubernetesObject, objectOf, specOf } from './support/objects.ts';

describeWith(['kustomize'], 'what the pod gives to ss-server', () => {
  const objectsOf = builtBy(() => [pathOf('kustomize'), 'build']);
  const environments = new Map<Target, Record<string, string>>();
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'podsocks-pod-'));
    for (const target of ['base', 'overlays/single-user'] as const) {
      environments.set(target, mount(objectsOf(target), join(root, target)));
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('is accepted, without a warning', () => {
    const { config, warnings } = loadServer({}, environments.get('base')!);
    expect(warnings).toEqual([]);
    expect(config.listen).toEqual([{ host: '0.0.0.0', port: 8388 }]);
    expect(config.policy.default).toBe('deny');
    expect(config.policy.rules).toHaveLength(3);
  });

  it('takes both families with the settings that docs/kubernetes.md has for IPv6', () => {
    const document = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
    const [, server, admin] = /`"server": "(\S+)"` and `"admin": "(\S+)"`/.exec(document)!;
    const environment = { ...environments.get('base')!, SS_SERVER: server!, SS_ADMIN: admin! };
    const { config, warnings } = loadServer({}, environment);
    expect(warnings).toEqual([]);
    expect(config.listen).toEqual([{ host: '::', port: 8388 }]);
    expect(config.admin).toEqual({ host: '::', port: 9090 });
  });

  it('single-user: one password and no users', () => {
    const { config, warnings } = loadServer({}, environments.get('overlays/single-user')!);
    expect(warnings).toEqual([]);
    expect(config.users).toEqual([]);
    expect(config.key).toHaveLength(32);
  });

  it('starts it: healthy, and with every metric, label and reason that alerts and dashboard may ask for', async () => {
    const server = run(SERVER, [], {
      env: { ...environments.get('base')!, SS_SERVER: '127.0.0.1', SS_SERVER_PORT: '0', SS_ADMIN: '127.0.0.1:0' },
    });
    const [, admin] = await server.wrote(/(http:\/\/127\.0\.0\.1:\d+)/);
    await server.wrote(/listening on/);
    expect((await fetch(`${admin}/healthz`)).status).toBe(200);
    const text = await (await fetch(`${admin}/metrics`)).text();
    const exported = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(Object.keys(METRICS).filter(name => !exported.includes(name))).toEqual([]);
    const samples = [...text.matchAll(/^(\w+?)(?:_bucket)?\{([^}]*)\}/gm)];
    for (const [, name, labels] of samples.filter(([, name]) => METRICS[name!])) {
      const names = [...labels!.matchAll(/(\w+)="/g)].map(([, label]) => label);
      expect(names.sort(), name).toEqual([...METRICS[name!]!].sort());
    }
    for (const [name, reasons] of Object.entries(REASONS)) {
      const own = samples
        .filter(sample => sample[1] === name)
        .map(([, , labels]) => /reason="(.*?)"/.exec(labels!)?.[1]);
      expect(own.sort(), name).toEqual([...reasons].sort());
    }
  });
});

/** Puts the volumes of the pod below `root`; returns its environment, with paths that lead there. */
function mount(objects: readonly KubernetesObject[], root: string): Record<string, string> {
  const { containers, volumes } = specOf<DeploymentSpec>(objects, 'Deployment').template.spec;
  const { env, volumeMounts } = containers[0]!;
  for (const { name, mountPath } of volumeMounts!) {
    const volume = volumes!.find(volume => volume.name === name)!;
    const { secretName, name: configMap } = (volume.secret ?? volume.configMap) as Record<string, string>;
    const object = objectOf(objects, secretName ? 'Secret' : 'ConfigMap', secretName ?? configMap);
    for (const [file, data] of Object.entries(object.data!)) {
      const path = join(root, mountPath, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, secretName ? Buffer.from(data, 'base64') : data, { mode: 0o400 });
    }
  }
  return Object.fromEntries(
    env!.map(({ name, value }) => [name, value!.startsWith('/') ? join(root, value!) : value!]),
  );
}
