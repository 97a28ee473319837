import { describe, expect, it } from 'vitest';
import { findExecutable } from '../../bench/src/executables.ts';
import { describeWith, pathOf } from '../support/programs.ts';
import { builtBy, TARGETS } from './support/build.ts';
import { type DeploymentSpec, objectOf } from './support/objects.ts';
import { faultsOf, schemasMissing } from './support/schemas.ts';

describeWith(
  ['kustomize'],
  'the published schemas',
  () => {
    const objectsOf = builtBy(() => [pathOf('kustomize'), 'build']);
    it.each(TARGETS)('%s: every object keeps to its own', target => {
      const objects = objectsOf(target);
      expect(objects.length).toBeGreaterThanOrEqual(8);
      expect(objects.flatMap(faultsOf)).toEqual([]);
    });

    it('see a field that does not exist, one that is missing, and a wrong type, at any depth', () => {
      const faultsAfter = (edit: (spec: DeploymentSpec) => unknown) => {
        const object = structuredClone(objectOf(objectsOf('base'), 'Deployment'));
        edit(object.spec as DeploymentSpec);
        return faultsOf(object).join('\n');
      };
      expect(faultsAfter(spec => Object.assign(spec, { replica: 2 }))).toMatch(/additional properties.*replica/);
      expect(
        faultsAfter(spec => Object.assign(spec.template.spec.containers[0]!.readinessProbe!, { timeout: 1 })),
      ).toMatch(/readinessProbe.*additional properties.*timeout/);
      expect(faultsAfter(spec => Object.assign(spec, { replicas: '2' }))).toMatch(/replicas must be integer/);
      expect(faultsAfter(spec => Reflect.deleteProperty(spec, 'selector'))).toMatch(/required property 'selector'/);
      const monitor = structuredClone(objectOf(objectsOf('overlays/monitoring'), 'ServiceMonitor'));
      (monitor.spec as { endpoints: object[] }).endpoints[0] = { port: 'admin', intervall: '30s' };
      expect(faultsOf(monitor).join('\n')).toMatch(/additional properties.*intervall/);
    });
  },
  schemasMissing,
);

const kubectl = findExecutable({ name: 'kubectl', proof: { args: ['kustomize', '--help'], text: 'kustomization' } });

// It has a kustomize of its own, an older one: a machine without it has nothing to fear from it.
describe.skipIf(!kubectl)(`kubectl kustomize${kubectl ? '' : ' [SKIPPED: not installed: kubectl]'}`, () => {
  const objectsOf = builtBy(() => [kubectl!, 'kustomize']);

  it.each(TARGETS)('builds %s', target => {
    expect(objectsOf(target).map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Namespace', 'Deployment']));
  });
});
