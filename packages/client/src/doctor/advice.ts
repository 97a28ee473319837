import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import type { Server } from '../servers.ts';
import type { ExaminedServer } from './examined-server.ts';

/** What to do, in the order of what is most often wrong. */

/** @param isSilent as a server of the methods of 2022 is to clocks that are away by more than was tried, too. */
export function adviceForKey({ method, plugin }: Server, isSilent = false): string {
  return [
    'ask for a new URL (ss-server url, ss-server user url): the key or password, the user, or the method is another',
    ...(plugin ? [`or the server has no ${plugin.command} in front of it, or one with other options`] : []),
    ...(isSilent && method.generation === 'sip022'
      ? ['or the date of this machine or of the server is wrong (date -u)']
      : []),
    'or something else than Shadowsocks listens there: check the port (kubectl get service -A | grep ss-server)',
  ].join('; ');
}

/** @param code of getaddrinfo. */
export function adviceForName(code: string): string {
  if (code === 'EAI_AGAIN')
    return 'no DNS server answers this machine: check the network, and the VPN if the name is an internal one';
  return 'check how it is spelt, and whether a VPN has to be up for it; or give an address of a node: kubectl get nodes -o wide';
}

/** @param through what is between here and the server, which has its own words for what went wrong there. */
export function adviceForTcp(error: unknown, port: number, through: string | undefined): string {
  if (!(error instanceof PodsocksError)) return 'this should not happen; please report it';
  if (through !== undefined)
    return `look at ${through}: whether it runs, what it says itself, and whether it may connect to TCP ${port} (--upstream, --plugin)`;
  const { code = '' } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') {
    return `nothing listens on port ${port}: check it against the Service (kubectl -n podsocks get service), and whether a pod is ready (kubectl -n podsocks get pods)`;
  }
  if (error.code === 'ERR_TIMEOUT' || code === 'ETIMEDOUT') {
    return `packets are dropped on the way: a firewall or security group that does not let TCP ${port} in, a VPN that is down, or an address that is not reached from here; ask for the way around: docs/kubernetes.md, or --upstream for a company proxy`;
  }
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH')
    return 'there is no way there from here: check the network, and the VPN';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return adviceForName(code);
  return 'the message says what is wrong on the way';
}

/** @param code of an error of the information host. */
export function adviceForReply(code: string, name: string): string {
  if (code === 'not-found')
    return `there is no such name in the cluster: kubectl get service -A | grep ${firstLabel(name)}; a Service is NAME.NAMESPACE`;
  if (code === 'no-address')
    return 'the name is there, and has no address: a headless Service without ready pods (kubectl get pods)';
  if (code === 'denied') return 'the policy lets you reach nothing there: ask whoever runs ss-server (docs/policy.md)';
  if (code === 'busy') return 'many look-ups are under way; try again';
  return "ss-server gets no answer from the cluster's DNS: kubectl -n kube-system get pods -l k8s-app=kube-dns, and a NetworkPolicy that lets it ask";
}

/** @param reply undefined when the server has not said. */
export function adviceForDial(reply: Exclude<ConnectReply, 'succeeded'> | undefined, { host, port }: Target): string {
  switch (reply) {
    case 'connectionRefused':
      return `nothing listens there on port ${port}: check the port of the Service, and whether its program has started (${endpointsOf(host)})`;
    case 'ttlExpired':
      return 'no answer: a NetworkPolicy that does not let ss-server in, a node that is down, or an address that nobody has any more';
    case 'networkUnreachable':
    case 'hostUnreachable':
      return "ss-server's pod has no way there: check the address, and IPv6 where it is one";
    case 'notAllowed':
      return 'the policy denies it: ask whoever runs ss-server (docs/policy.md)';
    default:
      return "ss-server's log says what happened (kubectl -n podsocks logs deployment/ss-server)";
  }
}

/** Of a server that ends connections without a word. @param isKeyRight as it has shown already. */
export function adviceForEnd({ server, through }: ExaminedServer, isKeyRight: boolean): string {
  const refused = 'the target refuses, or there is none of this name: try one that is sure to be there';
  if (isKeyRight) return refused;
  const between = through === undefined ? '' : `${through} does not reach the server; or `;
  return `${between}${refused}; if that ends as well, ${adviceForKey(server)}`;
}

/** `web.default.svc…` is in namespace default; of another host nothing is known. */
function endpointsOf(host: string): string {
  const [, name, namespace] = /^([\w-]+)\.([\w-]+)(?:\.|$)/.exec(host) ?? [];
  if (name === undefined || /^\d/.test(name)) return 'kubectl get endpointslices --all-namespaces';
  return `kubectl --namespace ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
}

/** For a command to be copied: of a name from outside, nothing that a shell would do something with. */
function firstLabel(name: string): string {
  return /^[\w-]+/.exec(name)?.[0] ?? 'NAME';
}
