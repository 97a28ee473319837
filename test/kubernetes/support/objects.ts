// What the tests read of the objects; the whole of them is for the published schemas.

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

export interface Profile {
  type?: string;
}

export interface PodSecurityContext {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seccompProfile?: Profile;
  appArmorProfile?: Profile;
  seLinuxOptions?: { type?: string; user?: string; role?: string };
  windowsOptions?: { hostProcess?: boolean };
  sysctls?: { name: string; value: string }[];
}

export interface ContainerSecurityContext extends Omit<PodSecurityContext, 'sysctls'> {
  allowPrivilegeEscalation?: boolean;
  privileged?: boolean;
  procMount?: string;
  readOnlyRootFilesystem?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
}

export interface Handler {
  httpGet?: { host?: string; path?: string; port: number | string };
  tcpSocket?: { host?: string; port: number | string };
  sleep?: { seconds: number };
}

export interface Probe extends Handler {
  periodSeconds?: number;
  failureThreshold?: number;
}

export interface Container {
  name: string;
  image?: string;
  env?: { name: string; value?: string }[];
  ports?: { name?: string; containerPort: number; hostPort?: number; protocol?: string }[];
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  lifecycle?: { preStop?: Handler; postStart?: Handler };
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[];
  securityContext?: ContainerSecurityContext;
}

export type Volume = { name: string } & Partial<
  Record<string, string | { secretName?: string; name?: string; optional?: boolean }>
>;

export interface PodSpec {
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  serviceAccountName?: string;
  terminationGracePeriodSeconds?: number;
  topologySpreadConstraints?: { labelSelector: Selector; topologyKey: string }[];
  securityContext?: PodSecurityContext;
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  volumes?: Volume[];
}

export interface PodTemplate {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface Selector {
  matchLabels?: Record<string, string>;
}

export interface DeploymentSpec {
  replicas: number;
  minReadySeconds: number;
  selector: Selector;
  strategy: { type: string; rollingUpdate: { maxUnavailable: number; maxSurge: number } };
  template: PodTemplate;
}

export interface ServiceSpec {
  type?: string;
  clusterIP?: string;
  selector: Record<string, string>;
  sessionAffinity?: string;
  externalTrafficPolicy?: string;
  ports: { name: string; protocol: string; port: number; targetPort: number | string; nodePort?: number }[];
}

interface Peer {
  ipBlock?: { cidr: string; except?: string[] };
  namespaceSelector?: Selector;
  podSelector?: Selector;
}

export interface NetworkPolicySpec {
  podSelector: Selector;
  policyTypes: string[];
  ingress: { from?: Peer[]; ports: { protocol: string; port: number | string }[] }[];
  egress: { to?: Peer[]; ports?: { protocol: string; port: number | string }[] }[];
}

/** The one object of this kind, and of this name where there are several. */
export function objectOf(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter(object => object.kind === kind && (name === undefined || object.metadata.name === name));
  if (found.length !== 1) throw new Error(`${found.length} objects are ${kind} ${name ?? ''}`);
  return found[0]!;
}

/** The spec of the one object of this kind. */
export const specOf = <T>(objects: readonly KubernetesObject[], kind: string, name?: string): T =>
  objectOf(objects, kind, name).spec as T;
