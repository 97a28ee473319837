import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import type { KnownServer } from '../servers/known-server.ts';
import { adviceForName, adviceForTcp } from './advice.ts';
import { ASK_TIMEOUT_MS } from './ask-server.ts';
import { examineKey } from './examine-key.ts';
import type { ExamineOptions } from './examine-options.ts';
import { examineDial, examineDns, examinePlainDial, examinePolicy, examineThroughput } from './examine-target.ts';
import { messageOf } from './finding.ts';

/** So long a clock may be ahead or behind without anybody noticing, in milliseconds; from 30 s on nothing works. */
const CLOCK_WARNING_MS = 10_000;

/** Walks the way from here to a target, and stops where it ends. Never rejects. */
export async function examine(options: ExamineOptions): Promise<void> {
  const { link, target: given } = options;
  if (!(await examineName(options)) || !(await examineTcp(options))) return;
  const known = await examineKey(options);
  if (known === 'silent') return;
  if (known !== undefined) {
    examineClock(options, known);
    examineExtensions(options, known);
  }
  const target = given && examineRoute(options, given, known);
  if (target === 'elsewhere') return;
  if (known === undefined) {
    if (target !== undefined) await examinePlainDial(options, target);
    return;
  }
  const name = target?.type === 'name' ? target.host : known.domain && `kubernetes.default.svc.${known.domain}`;
  const isResolved = name === undefined || (await examineDns(options, name, target?.type === 'name'));
  if (target !== undefined && isResolved) {
    if (!(await examinePolicy(options, target))) return;
    const isReached = known.hasConnectStatus
      ? await examineDial(options, target)
      : await examinePlainDial(options, target, true);
    if (!isReached) return;
  }
  if (isResolved) await examineThroughput(options, link);
}

async function examineName({ link, report }: ExamineOptions): Promise<boolean> {
  const { host } = link.server;
  const { through } = link;
  const stage = 'name';
  if (through !== undefined) {
    report({ stage, result: 'skipped', found: `${host} is looked up by ${through}` });
    return true;
  }
  if (isIP(host)) {
    report({ stage, result: 'ok', found: `${host} is an address` });
    return true;
  }
  const begun = performance.now();
  try {
    const addresses = await lookup(host, { all: true });
    const found = `${host} is ${addresses.map(({ address }) => address).join(', ')}`;
    report({ stage, result: 'ok', found, took: performance.now() - begun });
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    report({ stage, result: 'failed', found: `${host}: ${NAME_FAILURES[code] ?? code}`, advice: adviceForName(code) });
    return false;
  }
}

async function examineTcp({ link, report }: ExamineOptions): Promise<boolean> {
  const { through } = link;
  const begun = performance.now();
  const at = formatTarget(link.server);
  try {
    const connection = await link.dial(ASK_TIMEOUT_MS);
    connection.close();
    const by = through === undefined ? '' : ` through ${through}`;
    report({ stage: 'tcp', result: 'ok', found: `${at} accepts connections${by}`, took: performance.now() - begun });
    return true;
  } catch (error) {
    report({
      stage: 'tcp',
      result: 'failed',
      found: messageOf(error),
      advice: adviceForTcp(error, link.server.port, through),
    });
    return false;
  }
}

function examineClock({ report }: ExamineOptions, { clockAhead }: KnownServer): void {
  if (clockAhead === undefined) return;
  const seconds = Math.abs(clockAhead / 1000).toFixed(1);
  const found = `the clocks are ${seconds} s apart`;
  if (Math.abs(clockAhead) < CLOCK_WARNING_MS) report({ stage: 'clock', result: 'ok', found });
  else
    report({
      stage: 'clock',
      result: 'warning',
      found,
      advice: 'from 30 s on nothing works: turn NTP on at both ends',
    });
}

function examineExtensions({ report }: ExamineOptions, known: KnownServer): void {
  const { version, domain, hasConnectStatus, carriesUdp, carriesUdpOverTcp } = known;
  const features = [hasConnectStatus && 'true answers', carriesUdp && 'UDP', carriesUdpOverTcp && 'UDP over TCP'];
  const cluster = domain === undefined ? 'in no cluster' : `in the cluster ${domain}`;
  report({
    stage: 'extensions',
    result: 'ok',
    found: `podsocks ${version}, ${cluster}: ${features.filter(Boolean).join(', ')}`,
  });
}

/**
 * What goes directly is not the server's business: whether it is reached says any program.
 *
 * @returns what the server would be asked for.
 */
function examineRoute(
  { wayTo, report }: ExamineOptions,
  target: Target,
  known: KnownServer | undefined,
): Target | 'elsewhere' {
  const { way, because, target: asked } = wayTo?.(target, known) ?? { way: 'tunnel', because: '', target };
  if (way === 'tunnel') return asked;
  const found = `${formatTarget(target)} ${way === 'direct' ? 'goes directly, not through the tunnel' : 'is rejected here'} (${because})`;
  const advice =
    way === 'direct'
      ? 'if it is in the cluster, give its whole name (web.default.svc.cluster.local), or --namespace, --tunnel, --route all'
      : 'look at --reject, "routes" and --acl';
  report({ stage: 'route', result: way === 'direct' ? 'warning' : 'failed', found, advice });
  return 'elsewhere';
}

const NAME_FAILURES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the resolver does not answer',
};
