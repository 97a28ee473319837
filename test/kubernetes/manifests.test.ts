import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, pathOf } from '../support/programs.ts';
import { build, builtBy, copyManifests, parseObjects, TARGETS, type Target } from './support/build.ts';
import {
  type Container,
  type DeploymentSpec,
  type NetworkPolicySpec,
  objectOf,
  type ServiceSpec,
  specOf,
} from './support/objects.ts';

describeWith(['kustomize'], 'manifests', () => {
  const objectsOf = builtBy(() => [pathOf('kustomize'), 'build']);
  const deployment = (target: Target = 'base') => specOf<DeploymentSpec>(objectsOf(target), 'Deployment');
  const container = (target: Target = 'base'): Container => deployment(target).template.spec.containers[0]!;
  const service = (target: Target = 'base') => specOf<ServiceSpec>(objectsOf(target), 'Service', 'ss-server');
  const networkPolicy = () => specOf<NetworkPolicySpec>(objectsOf('base'), 'NetworkPolicy');
  const settings = () => {
    const [config] = objectsOf('base').filter(({ kind, data }) => kind === 'ConfigMap' && data?.['server.json']);
    return JSON.parse(config!.data!['server.json']!) as Record<string, unknown>;
  };

  it.each(TARGETS)('%s has every kind of object once, in one namespace, without RBAC', target => {
    const objects = objectsOf(target);
    expect(objects.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining([
        'Namespace',
        'ConfigMap',
        'Secret',
        'Service',
        'Deployment',
        'NetworkPolicy',
        'PodDisruptionBudget',
        'HorizontalPodAutoscaler',
      ]),
    );
    for (const { kind, metadata } of objects) {
      expect(kind === 'Namespace' ? metadata.name : metadata.namespace, `${kind} ${metadata.name}`).toBe('podsocks');
      expect(kind).not.toMatch(/Role|ServiceAccount|Ingress/);
    }
  });

  it.each(TARGETS)('%s mounts no token and writes nowhere', target => {
    const { spec } = deployment(target).template;
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
    expect(spec.serviceAccountName).toBeUndefined();
    for (const { securityContext, resources } of spec.containers) {
      expect(securityContext?.readOnlyRootFilesystem).toBe(true);
      expect(resources?.requests).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
      expect(resources?.limits).toMatchObject({ memory: expect.any(String) });
    }
  });

  it('no pod goes before its successor is ready', () => {
    const { replicas, strategy, minReadySeconds } = deployment();
    expect(replicas).toBe(2);
    expect(strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
    expect(minReadySeconds).toBeGreaterThan(0);
  });

  it('a pod has the time to leave the Service and to drain', () => {
    const preStop = container().lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(preStop).toBeGreaterThan(0);
    const drained = preStop + (settings().drain_timeout as number);
    expect(deployment().template.spec.terminationGracePeriodSeconds).toBeGreaterThan(drained);
  });

  it('selectors find the pods', () => {
    for (const target of TARGETS) {
      const { selector, template } = deployment(target);
      const { labels } = template.metadata;
      const services = objectsOf(target).filter(({ kind }) => kind === 'Service');
      const budget = specOf<{ selector: { matchLabels: object } }>(objectsOf(target), 'PodDisruptionBudget');
      const policy = specOf<NetworkPolicySpec>(objectsOf(target), 'NetworkPolicy');
      const spread = template.spec.topologySpreadConstraints!;
      for (const wanted of [
        selector.matchLabels!,
        ...services.map(({ spec }) => (spec as ServiceSpec).selector),
        budget.selector.matchLabels,
        policy.podSelector.matchLabels!,
        ...spread.map(({ labelSelector }) => labelSelector.matchLabels!),
      ]) {
        expect(Object.keys(wanted)).not.toEqual([]);
        expect(labels).toMatchObject(wanted);
      }
    }
  });

  it('the autoscaler scales this Deployment, and not below its replicas', () => {
    const { scaleTargetRef, minReplicas, maxReplicas } = specOf<{
      scaleTargetRef: object;
      minReplicas: number;
      maxReplicas: number;
    }>(objectsOf('base'), 'HorizontalPodAutoscaler');
    const { apiVersion, kind, metadata } = objectOf(objectsOf('base'), 'Deployment');
    expect(scaleTargetRef).toEqual({ apiVersion, kind, name: metadata.name });
    expect(minReplicas).toBe(deployment().replicas);
    expect(maxReplicas).toBeGreaterThan(minReplicas);
  });

  it('ports agree: of the server, the container, the Service and the NetworkPolicy', () => {
    const { server_port: port, admin, mode } = settings() as { server_port: number; admin: string; mode: string };
    const adminPort = Number(admin.split(':')[1]);
    expect(mode).toBe('tcp_and_udp');
    expect(container().ports).toEqual([
      { name: 'ss-tcp', containerPort: port, protocol: 'TCP' },
      { name: 'ss-udp', containerPort: port, protocol: 'UDP' },
      { name: 'admin', containerPort: adminPort, protocol: 'TCP' },
    ]);
    expect(service().ports.map(({ protocol, targetPort, nodePort }) => ({ protocol, targetPort, nodePort }))).toEqual([
      { protocol: 'TCP', targetPort: 'ss-tcp', nodePort: 32088 },
      { protocol: 'UDP', targetPort: 'ss-udp', nodePort: 32088 },
    ]);
    const [clients, metrics, ...others] = networkPolicy().ingress;
    expect(clients).toEqual({
      ports: [
        { protocol: 'TCP', port },
        { protocol: 'UDP', port },
      ],
    });
    expect(metrics).toEqual({
      from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      ports: [{ protocol: 'TCP', port: adminPort }],
    });
    expect(others).toEqual([]);
  });

  it('probes ask the admin port', () => {
    const { startupProbe, readinessProbe, livenessProbe } = container();
    expect(startupProbe?.httpGet).toEqual({ path: '/healthz', port: 'admin' });
    expect(readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'admin' });
    expect(livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'admin' });
  });

  it('an outage of DNS that is over within a minute takes no pod out, and nothing is restarted sooner', () => {
    for (const probe of [container().readinessProbe!, container().livenessProbe!]) {
      expect(probe.periodSeconds! * probe.failureThreshold!).toBeGreaterThanOrEqual(60);
    }
  });

  it('the admin port is in no Service of clients', () => {
    for (const target of TARGETS) {
      for (const { metadata, spec } of objectsOf(target).filter(({ kind }) => kind === 'Service')) {
        const { type, clusterIP, ports } = spec as ServiceSpec;
        if (metadata.name === 'ss-server') expect(ports.map(({ targetPort }) => targetPort)).not.toContain('admin');
        else expect({ type, clusterIP }).toEqual({ type: undefined, clusterIP: 'None' });
      }
    }
  });

  it('the policy and the NetworkPolicy name the same networks, and deny when in doubt', () => {
    const { allow, deny, policy_default } = settings();
    const [dns, cluster, ...others] = networkPolicy().egress;
    expect(others).toEqual([]);
    const blocks = cluster!.to!.flatMap(({ ipBlock }) => ipBlock ?? []);
    expect(blocks.map(({ cidr }) => cidr)).toEqual(allow);
    expect(blocks.flatMap(({ except }) => except ?? [])).toEqual(deny);
    expect(policy_default).toBe('deny');
    expect(dns!.ports).toEqual([
      { protocol: 'UDP', port: 53 },
      { protocol: 'TCP', port: 53 },
    ]);
    expect(networkPolicy().policyTypes).toEqual(['Ingress', 'Egress']);
  });

  it('a laptop stays with its pod', () => {
    for (const target of TARGETS) expect(service(target).sessionAffinity).toBe('ClientIP');
  });

  it('loadbalancer: no port of the nodes is asked for, and clients keep their address', () => {
    const { type, externalTrafficPolicy, ports } = service('overlays/loadbalancer');
    expect({ type, externalTrafficPolicy }).toEqual({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    expect(ports.map(({ protocol, nodePort }) => [protocol, nodePort])).toEqual([
      ['TCP', undefined],
      ['UDP', undefined],
    ]);
  });

  it('monitoring: the ServiceMonitor finds the Service and its port', () => {
    const objects = objectsOf('overlays/monitoring');
    const { selector, endpoints, jobLabel } = specOf<{
      selector: { matchLabels: object };
      endpoints: { port: string; path: string }[];
      jobLabel: string;
    }>(objects, 'ServiceMonitor');
    const found = objects.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(([name, value]) => metadata.labels?.[name] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['ss-server-metrics']);
    expect(found[0]!.metadata.labels![jobLabel]).toBe('ss-server');
    const [port] = (found[0]!.spec as ServiceSpec).ports;
    expect(endpoints).toMatchObject([{ port: port!.name, path: '/metrics' }]);
    expect(port!.targetPort).toBe('admin');
  });

  it('single-user: the server knows no users file', () => {
    const mounted = (target: Target) =>
      container(target)
        .volumeMounts!.map(({ name }) => name)
        .sort();
    const variables = (target: Target) =>
      container(target)
        .env!.map(({ name }) => name)
        .sort();
    expect(mounted('base')).toEqual(['config', 'password', 'users']);
    expect(variables('base')).toEqual(['SS_CONFIG', 'SS_PASSWORD_FILE', 'SS_USERS']);
    expect(mounted('overlays/single-user')).toEqual(['config', 'password']);
    expect(variables('overlays/single-user')).toEqual(['SS_CONFIG', 'SS_PASSWORD_FILE']);
  });

  it('mounts whole directories, which change when a Secret does, and finds all that it mounts', () => {
    for (const target of TARGETS) {
      const { volumes } = deployment(target).template.spec;
      const names = objectsOf(target)
        .filter(({ kind }) => kind === 'Secret' || kind === 'ConfigMap')
        .map(({ metadata }) => metadata.name);
      for (const volume of volumes!) {
        const { secretName, name, optional } = (volume.secret ?? volume.configMap) as Record<string, string>;
        expect(names).toContain(secretName ?? name);
        expect(optional).toBeUndefined();
      }
      for (const { subPath } of container(target).volumeMounts!) expect(subPath).toBeUndefined();
    }
  });

  it('another policy or password is another pod, another user is not', async () => {
    const manifests = copyManifests({ secrets: true });
    const templateAfter = async (edit: string, text: string) => {
      const path = join(manifests.path, edit);
      appendFileSync(path, text);
      const objects = parseObjects(await build([pathOf('kustomize'), 'build'], join(manifests.path, 'base')));
      return specOf<DeploymentSpec>(objects, 'Deployment').template;
    };
    try {
      const before = deployment().template;
      expect(await templateAfter('base/secret/users.json', '\n')).toEqual(before);
      const other = await templateAfter('common/server.json', '\n');
      expect(other).not.toEqual(before);
      expect(await templateAfter('base/secret/password', '\n')).not.toEqual(other);
    } finally {
      manifests.remove();
    }
  });

  it('a fresh clone builds nothing, and says which file is missing', async () => {
    const manifests = copyManifests({ secrets: false });
    try {
      for (const target of TARGETS) {
        const built = build([pathOf('kustomize'), 'build'], join(manifests.path, target));
        await expect(built, target).rejects.toThrow(/secret\/password.*no such file/s);
      }
    } finally {
      manifests.remove();
    }
  });

  it('git ignores the secrets, and nothing else here', () => {
    const lines = readFileSync(new URL('../../.gitignore', import.meta.url), 'utf8').split('\n');
    expect(lines).toEqual(expect.arrayContaining(['k8s/**/secret/*', '!k8s/**/secret/README.md']));
  });
});
