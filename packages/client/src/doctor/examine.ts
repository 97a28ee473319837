import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import type { Way } from '../routing/router.ts';
import { type KnownServer, readInformation } from '../servers/known-server.ts';
import { printable } from '../status/printable.ts';
import { RefusedTarget } from '../tunnel-stream.ts';
import { adviceForDial, adviceForName, adviceForReply, adviceForTcp, KEY_ADVICE } from './advice.ts';
import { ASK_TIMEOUT_MS, askInformation, openThrough, timeDownload } from './ask-server.ts';
import type { ExaminedServer } from './examined-server.ts';
import type { Finding } from './finding.ts';
import { explainSilence } from './silence.ts';

export interface ExamineOptions {
  readonly link: ExaminedServer;
  /** What a program would like to reach, if anybody has said so. */
  readonly target: Target | undefined;
  /** Which way ss-local would take to a target, when the server has said this of itself. */
  readonly wayTo?: (target: Target, known: KnownServer) => { readonly way: Way; readonly because: string };
  /** Is given each finding as it is found. */
  readonly report: (finding: Finding) => void;
}

/** So long a clock may be ahead or behind without anybody noticing, in milliseconds; from 30 s on nothing works. */
const CLOCK_WARNING_MS = 10_000;

const DOWNLOAD_BYTES = 4 * 1024 * 1024;

/** Walks the way from here to a target, and stops where it ends. Never rejects. */
export async function examine(options: ExamineOptions): Promise<void> {
  const { link, target } = options;
  if (!(await examineName(options)) || !(await examineTcp(options))) return;
  const known = await examineKey(options);
  if (known === 'silent') return;
  if (known === undefined) {
    if (target !== undefined) await examineDial(options, target, false);
    return;
  }
  examineClock(options, known);
  examineExtensions(options, known);
  if (target !== undefined && !goesThrough(options, target, known)) return;
  const name = target?.type === 'name' ? target.host : known.domain && `kubernetes.default.svc.${known.domain}`;
  const isResolved = name === undefined || (await examineDns(options, name, target?.type === 'name'));
  if (target !== undefined && isResolved) {
    if (!(await examinePolicy(options, target)) || !(await examineDial(options, target, known.hasConnectStatus)))
      return;
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
    report({ stage: 'tcp', result: 'failed', found: messageOf(error), advice: adviceForTcp(error, link.server.port) });
    return false;
  }
}

/** @returns what the server is; undefined for one of another kind. */
async function examineKey({ link, report }: ExamineOptions): Promise<KnownServer | 'silent' | undefined> {
  const stage = 'key';
  const { method } = link.server;
  const begun = performance.now();
  try {
    const { status, body } = await askInformation(link, '/v1/info');
    const took = performance.now() - begun;
    if (status !== 200) throw new PodsocksError('ERR_HEADER', `the information host answers with status ${status}`);
    const known = readInformation(JSON.stringify(body), Date.now() - took / 2);
    const as = known.user === undefined || known.user === 'default' ? '' : `, and it knows us as ${known.user}`;
    report({ stage, result: 'ok', found: `key and ${method.name} are right${as}`, took });
    return known;
  } catch (error) {
    const { code } = error as PodsocksError;
    if (code === 'ERR_CLOSED') {
      report({
        stage,
        result: 'warning',
        found: PLAIN,
        advice: 'give a target to see whether the key is right: ss-local doctor host:port',
      });
      return undefined;
    }
    if (code !== 'ERR_TIMEOUT') {
      report({ stage, result: 'failed', found: messageOf(error), advice: KEY_ADVICE });
      return 'silent';
    }
  }
  await examineSilence(link, report);
  return 'silent';
}

async function examineSilence(link: ExaminedServer, report: ExamineOptions['report']): Promise<void> {
  const silence = await explainSilence(link);
  if (silence.kind === 'key') {
    report({ stage: 'key', result: 'failed', found: SILENT, advice: KEY_ADVICE });
    return;
  }
  if (silence.kind === 'method') {
    const { name } = silence.method;
    const found = `the server speaks ${name}, and not ${link.server.method.name}`;
    report({
      stage: 'key',
      result: 'failed',
      found,
      advice: `give it as -m ${name} (--method), or "method" in the file`,
    });
    return;
  }
  const { behind } = silence;
  report({ stage: 'key', result: 'ok', found: `key and ${link.server.method.name} are right` });
  report({
    stage: 'clock',
    result: 'failed',
    found: `this machine's clock is ${Math.abs(behind)} s ${behind > 0 ? 'behind' : 'ahead of'} the server's; 30 s are allowed`,
    advice:
      'set the clock that is wrong: compare `date -u` here and on the node, and turn NTP on (timedatectl set-ntp true)',
  });
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

/** What goes directly is not the server's business: whether it is reached says any program. */
function goesThrough({ wayTo, report }: ExamineOptions, target: Target, known: KnownServer): boolean {
  const { way, because } = wayTo?.(target, known) ?? { way: 'tunnel', because: '' };
  if (way === 'tunnel') return true;
  const found = `${formatTarget(target)} ${way === 'direct' ? 'goes directly, not through the tunnel' : 'is rejected here'} (${because})`;
  const advice =
    way === 'direct'
      ? 'if it is in the cluster, give its whole name (web.default.svc.cluster.local), or --namespace, --tunnel, --route all'
      : 'look at --reject, "routes" and --acl';
  report({ stage: 'route', result: way === 'direct' ? 'warning' : 'failed', found, advice });
  return false;
}

async function examineDns({ link, report }: ExamineOptions, name: string, isAskedFor: boolean): Promise<boolean> {
  const stage = 'dns';
  const begun = performance.now();
  try {
    const { status, body } = await askInformation(link, `/v1/resolve?name=${encodeURIComponent(name)}`);
    const { answers, error } = (body ?? {}) as {
      answers?: { data?: unknown }[];
      error?: { code?: string; message?: string };
    };
    const addresses = Array.isArray(answers) ? answers.map(({ data }) => String(data)).slice(0, MOST_SHOWN) : [];
    if (status === 200 && addresses.length > 0) {
      report({ stage, result: 'ok', found: `${name} is ${addresses.join(', ')}`, took: performance.now() - begun });
      return true;
    }
    const advice = adviceForReply(error?.code ?? '', name);
    const result = isAskedFor ? 'failed' : 'warning';
    report({ stage, result, found: withName(name, error?.message ?? 'no address'), advice });
    return !isAskedFor;
  } catch (error) {
    report({ stage, result: 'failed', found: messageOf(error), advice: adviceForReply('', name) });
    return false;
  }
}

async function examinePolicy({ link, report }: ExamineOptions, target: Target): Promise<boolean> {
  const stage = 'policy';
  try {
    const query = `host=${encodeURIComponent(target.host)}&port=${target.port}`;
    const { status, body } = await askInformation(link, `/v1/policy?${query}`);
    const { allowed, rule } = (body ?? {}) as { allowed?: unknown; rule?: unknown };
    if (status === 200 && allowed === true) {
      report({ stage, result: 'ok', found: `${formatTarget(target)} is allowed: ${shown(String(rule))}` });
      return true;
    }
    report({
      stage,
      result: 'failed',
      found: `${formatTarget(target)} is denied: ${ruleInWords(rule, status)}`,
      advice:
        'ask whoever runs ss-server to allow it (--allow, docs/policy.md); on the server `ss-server policy test` says the same',
    });
  } catch (error) {
    report({
      stage,
      result: 'failed',
      found: messageOf(error),
      advice: 'try again; ss-server may have been restarted',
    });
  }
  return false;
}

async function examineDial({ link, report }: ExamineOptions, target: Target, wantsStatus: boolean): Promise<boolean> {
  const stage = 'dial';
  const begun = performance.now();
  try {
    const stream = await openThrough(link, target, { wantsStatus, timeout: 3 * ASK_TIMEOUT_MS });
    const took = performance.now() - begun;
    stream.on('error', () => {}).destroy();
    const found = wantsStatus
      ? `${formatTarget(target)} accepts connections`
      : `${formatTarget(target)} was asked for; ${NO_STATUS}`;
    report({ stage, result: wantsStatus ? 'ok' : 'warning', found, took });
    return true;
  } catch (error) {
    const reply = error instanceof RefusedTarget ? error.reply : undefined;
    report({ stage, result: 'failed', found: messageOf(error), advice: adviceForDial(reply, target) });
    return false;
  }
}

async function examineThroughput({ report }: ExamineOptions, link: ExaminedServer): Promise<void> {
  const stage = 'throughput';
  try {
    const begun = performance.now();
    await askInformation(link, '/v1/info');
    const roundTrip = (performance.now() - begun) / 2; // one to connect, one to ask
    const took = await timeDownload(link, DOWNLOAD_BYTES);
    const rate =
      took === undefined
        ? 'this server has no measure of throughput'
        : `${(DOWNLOAD_BYTES / took / 1000).toFixed(1)} MB/s down`;
    report({ stage, result: 'ok', found: `round trip ${roundTrip.toFixed(1)} ms, ${rate}` });
  } catch (error) {
    report({
      stage,
      result: 'failed',
      found: messageOf(error),
      advice: 'the way to the server loses what is large: look at MTU and VPN',
    });
  }
}

/** The server's words for it may begin with the name. */
function withName(name: string, message: string): string {
  return shown(message.startsWith(`${name}:`) ? message : `${name}: ${message}`);
}

function ruleInWords(rule: unknown, status: number): string {
  if (rule === 'default') return 'no rule allows it';
  return typeof rule === 'string' ? shown(rule) : `status ${status}`;
}

const MOST_SHOWN = 8;

const NAME_FAILURES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the resolver does not answer',
};

const PLAIN =
  'the server ended the connection at once: a Shadowsocks server of another kind, which does not say whether the key is right';
const SILENT = 'the server takes the connection and says nothing, as it does to whoever does not know its key';
const NO_STATUS = 'a server of this kind does not tell what became of it';

function messageOf(error: unknown): string {
  return shown(error instanceof Error ? error.message : String(error));
}

const MOST_CHARACTERS = 500;

/** What comes from a server has no end otherwise. */
function shown(text: string): string {
  return printable(text).slice(0, MOST_CHARACTERS);
}
