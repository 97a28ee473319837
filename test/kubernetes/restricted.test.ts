import { expect, it } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { builtBy, TARGETS, type Target } from './support/build.ts';
import { type DeploymentSpec, objectOf, specOf } from './support/objects.ts';
import { BASELINE, RESTRICTED } from './support/restricted.ts';

const RULES = [...BASELINE, ...RESTRICTED];

describeWith(['kustomize'], 'the pod and the Pod Security Standard "restricted"', () => {
  const objectsOf = builtBy(() => [pathOf('kustomize'), 'build']);
  const podOf = (target: Target) => specOf<DeploymentSpec>(objectsOf(target), 'Deployment').template;

  it.each(TARGETS)('%s: the namespace asks for it', target => {
    const { labels } = objectOf(objectsOf(target), 'Namespace').metadata;
    for (const mode of ['enforce', 'audit', 'warn']) {
      expect(labels?.[`pod-security.kubernetes.io/${mode}`]).toBe('restricted');
      expect(labels?.[`pod-security.kubernetes.io/${mode}-version`]).toBe('latest');
    }
  });

  for (const { control, violations, breaks } of RULES) {
    it.each(TARGETS)(`${control}: holds in %s`, target => {
      expect(violations(podOf(target))).toEqual([]);
    });

    it.each([...breaks.entries()])(`${control}: sees a pod that breaks it (%i)`, (_, breakIt) => {
      const pod = structuredClone(podOf('base'));
      breakIt(pod);
      expect(violations(pod)).not.toEqual([]);
    });
  }
});
