import type {
  Container,
  ContainerSecurityContext,
  Handler,
  PodSecurityContext,
  PodSpec,
  PodTemplate,
  Profile,
} from './objects.ts';

export interface Rule {
  /** As in the Pod Security Standards. */
  readonly control: string;
  readonly violations: (pod: PodTemplate) => string[];
  /** Changes by each of which a pod that was right breaks this rule. */
  readonly breaks: readonly ((pod: PodTemplate) => void)[];
}

const CAPABILITIES =
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT';
const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
const SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
];
const VOLUMES = 'configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret'.split(' ');
const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

const containersOf = ({ spec }: PodTemplate): Container[] => [
  ...spec.containers,
  ...(spec.initContainers ?? []),
  ...(spec.ephemeralContainers ?? []),
];
const inContainers = (says: (container: Container) => boolean) => (pod: PodTemplate) =>
  containersOf(pod)
    .filter(says)
    .map(({ name }) => name);
const contextsOf = (pod: PodTemplate) => [
  pod.spec.securityContext ?? {},
  ...containersOf(pod).map(container => container.securityContext ?? {}),
];
const inContexts = (says: (context: ReturnType<typeof contextsOf>[number]) => boolean) => (pod: PodTemplate) =>
  contextsOf(pod)
    .filter(says)
    .map(context => JSON.stringify(context));

type Change<T> = { readonly [K in keyof T]?: T[K] | undefined };
const inPod = (change: Change<PodSpec>) => (pod: PodTemplate) => void Object.assign(pod.spec, change);
const inPodContext = (change: Change<PodSecurityContext>) => (pod: PodTemplate) =>
  void Object.assign(pod.spec.securityContext!, change);
const inContainer = (change: Change<Container>) => (pod: PodTemplate) =>
  void Object.assign(pod.spec.containers[0]!, change);
const inContext = (change: Change<ContainerSecurityContext>) => (pod: PodTemplate) =>
  void Object.assign(pod.spec.containers[0]!.securityContext!, change);
/** Beside the container that is right, one that starts before it. */
const inInitContainer = (securityContext: ContainerSecurityContext) => (pod: PodTemplate) =>
  void Object.assign(pod.spec, { initContainers: [{ ...pod.spec.containers[0]!, securityContext }] });

const CONFINED = ['RuntimeDefault', 'Localhost'];
const unless = (allowed: readonly string[]) => (profile: Profile | undefined) =>
  profile?.type !== undefined && !allowed.includes(profile.type);
const hooksOf = ({ startupProbe, readinessProbe, livenessProbe, lifecycle }: Container): (Handler | undefined)[] => [
  startupProbe,
  readinessProbe,
  livenessProbe,
  lifecycle?.preStop,
  lifecycle?.postStart,
];
const hasHost = (hook: Handler | undefined) => Boolean(hook?.httpGet?.host || hook?.tcpSocket?.host);

/** The controls of the profile "baseline". */
export const BASELINE: readonly Rule[] = [
  {
    control: 'HostProcess',
    violations: inContexts(({ windowsOptions }) => windowsOptions?.hostProcess === true),
    breaks: [
      inPodContext({ windowsOptions: { hostProcess: true } }),
      inContext({ windowsOptions: { hostProcess: true } }),
    ],
  },
  {
    control: 'Host Namespaces',
    violations: ({ spec }) => (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(name => spec[name]),
    breaks: [inPod({ hostNetwork: true }), inPod({ hostPID: true }), inPod({ hostIPC: true })],
  },
  {
    control: 'Privileged Containers',
    violations: inContainers(({ securityContext }) => securityContext?.privileged === true),
    breaks: [inContext({ privileged: true }), inInitContainer({ privileged: true })],
  },
  {
    control: 'Capabilities (baseline)',
    violations: inContainers(({ securityContext }) =>
      (securityContext?.capabilities?.add ?? []).some(name => !CAPABILITIES.split(' ').includes(name)),
    ),
    breaks: [inContext({ capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } })],
  },
  {
    control: 'HostPath Volumes',
    violations: ({ spec }) => (spec.volumes ?? []).filter(volume => volume.hostPath).map(({ name }) => name),
    breaks: [inPod({ volumes: [{ name: 'host', hostPath: {} }] })],
  },
  {
    control: 'Host Ports',
    violations: inContainers(({ ports }) => (ports ?? []).some(({ hostPort }) => (hostPort ?? 0) !== 0)),
    breaks: [inContainer({ ports: [{ containerPort: 8388, hostPort: 8388 }] })],
  },
  {
    control: 'Host Probes / Lifecycle Hooks',
    violations: inContainers(container => hooksOf(container).some(hasHost)),
    breaks: [
      inContainer({ livenessProbe: { httpGet: { host: '169.254.169.254', port: 80 } } }),
      inContainer({ readinessProbe: { tcpSocket: { host: '127.0.0.1', port: 80 } } }),
      inContainer({ startupProbe: { tcpSocket: { host: '127.0.0.1', port: 80 } } }),
      inContainer({ lifecycle: { preStop: { httpGet: { host: '127.0.0.1', port: 80 } } } }),
      inContainer({ lifecycle: { postStart: { httpGet: { host: '127.0.0.1', port: 80 } } } }),
    ],
  },
  {
    control: 'AppArmor',
    violations: pod => [
      ...inContexts(({ appArmorProfile }) => unless(CONFINED)(appArmorProfile))(pod),
      ...Object.entries(pod.metadata.annotations ?? {})
        .filter(
          ([name, value]) => name.startsWith(APPARMOR_ANNOTATION) && !/^(runtime\/default|localhost\/.*)?$/.test(value),
        )
        .map(([name]) => name),
    ],
    breaks: [
      inPodContext({ appArmorProfile: { type: 'Unconfined' } }),
      inContext({ appArmorProfile: { type: 'Unconfined' } }),
      pod => void Object.assign(pod.metadata, { annotations: { [`${APPARMOR_ANNOTATION}ss-server`]: 'unconfined' } }),
    ],
  },
  {
    control: 'SELinux',
    violations: inContexts(
      ({ seLinuxOptions: { type = '', user = '', role = '' } = {} }) =>
        !SELINUX_TYPES.includes(type) || user !== '' || role !== '',
    ),
    breaks: [
      inPodContext({ seLinuxOptions: { type: 'spc_t' } }),
      inContext({ seLinuxOptions: { user: 'system_u' } }),
      inContext({ seLinuxOptions: { role: 'system_r' } }),
    ],
  },
  {
    control: '/proc Mount Type',
    violations: inContainers(({ securityContext }) => (securityContext?.procMount ?? 'Default') !== 'Default'),
    breaks: [inContext({ procMount: 'Unmasked' })],
  },
  {
    control: 'Seccomp (baseline)',
    violations: inContexts(({ seccompProfile }) => unless(CONFINED)(seccompProfile)),
    breaks: [
      inPodContext({ seccompProfile: { type: 'Unconfined' } }),
      inContext({ seccompProfile: { type: 'Unconfined' } }),
    ],
  },
  {
    control: 'Sysctls',
    violations: ({ spec }) =>
      (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter(name => !SYSCTLS.includes(name)),
    breaks: [inPodContext({ sysctls: [{ name: 'net.core.somaxconn', value: '1024' }] })],
  },
];

/** What the profile "restricted" asks for beyond. */
export const RESTRICTED: readonly Rule[] = [
  {
    control: 'Volume Types',
    violations: ({ spec }) =>
      (spec.volumes ?? [])
        .filter(volume => Object.keys(volume).some(key => key !== 'name' && !VOLUMES.includes(key)))
        .map(({ name }) => name),
    breaks: [inPod({ volumes: [{ name: 'nfs', nfs: {} }] }), inPod({ volumes: [{ name: 'host', hostPath: {} }] })],
  },
  {
    control: 'Privilege Escalation',
    violations: inContainers(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false),
    breaks: [
      inContext({ allowPrivilegeEscalation: true }),
      inContext({ allowPrivilegeEscalation: undefined }),
      inInitContainer({}),
    ],
  },
  {
    control: 'Running as Non-root',
    violations: pod =>
      inContainers(
        ({ securityContext }) => (securityContext?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot) !== true,
      )(pod),
    breaks: [
      inPodContext({ runAsNonRoot: undefined }),
      inPodContext({ runAsNonRoot: false }),
      inContext({ runAsNonRoot: false }),
    ],
  },
  {
    control: 'Running as Non-root user',
    violations: inContexts(({ runAsUser }) => runAsUser === 0),
    breaks: [inPodContext({ runAsUser: 0 }), inContext({ runAsUser: 0 })],
  },
  {
    control: 'Seccomp',
    violations: pod =>
      inContainers(
        ({ securityContext }) =>
          !CONFINED.includes((securityContext?.seccompProfile ?? pod.spec.securityContext?.seccompProfile)?.type ?? ''),
      )(pod),
    breaks: [inPodContext({ seccompProfile: undefined }), inContext({ seccompProfile: { type: 'Unconfined' } })],
  },
  {
    control: 'Capabilities',
    violations: inContainers(({ securityContext }) => {
      const { add = [], drop = [] } = securityContext?.capabilities ?? {};
      return !drop.includes('ALL') || add.some(name => name !== 'NET_BIND_SERVICE');
    }),
    breaks: [
      inContext({ capabilities: {} }),
      inContext({ capabilities: { drop: ['NET_RAW'] } }),
      inContext({ capabilities: { drop: ['ALL'], add: ['CHOWN'] } }),
    ],
  },
];
