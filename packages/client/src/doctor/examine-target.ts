import { setTimeout as delay } from 'node:timers/promises';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import { isServersFault } from '../carrier.ts';
import { RefusedTarget } from '../tunnel-stream.ts';
import { adviceForDial, adviceForEnd, adviceForKey, adviceForReply, adviceForTcp } from './advice.ts';
import { ASK_TIMEOUT_MS, askInformation, openThrough, timeDownload } from './ask-server.ts';
import type { ExamineOptions } from './examine-options.ts';
import type { ExaminedServer } from './examined-server.ts';
import { messageOf, shown } from './finding.ts';
import { firstSign } from './first-sign.ts';

const DOWNLOAD_BYTES = 4 * 1024 * 1024;

/** The server measures for each user every two seconds; so long another server of the same ones keeps this one waiting. */
const MEASURING_PAUSE_MS = 2_200;

export async function examineDns(
  { link, report }: ExamineOptions,
  name: string,
  isAskedFor: boolean,
): Promise<boolean> {
  const stage = 'dns';
  const begun = performance.now();
  try {
    const { status, body } = await askInformation(link, `/v1/resolve?name=${encodeURIComponent(name)}`);
    const { answers, error } = (body ?? {}) as {
      answers?: ({ data?: unknown } | null)[];
      error?: { code?: string; message?: unknown };
    };
    const addresses = Array.isArray(answers) ? answers.map(answer => String(answer?.data)).slice(0, MOST_SHOWN) : [];
    if (status === 200 && addresses.length > 0) {
      const found = shown(`${name} is ${addresses.join(', ')}`);
      report({ stage, result: 'ok', found, took: performance.now() - begun });
      return true;
    }
    const advice = adviceForReply(error?.code ?? '', name);
    const result = isAskedFor ? 'failed' : 'warning';
    report({
      stage: error?.code === 'denied' ? 'policy' : stage,
      result,
      found: withName(name, String(error?.message ?? 'no address')),
      advice,
    });
    return !isAskedFor;
  } catch (error) {
    report({ stage, result: 'failed', found: messageOf(error), advice: adviceForReply('', name) });
    return false;
  }
}

export async function examinePolicy({ link, report }: ExamineOptions, target: Target): Promise<boolean> {
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

export async function examineDial({ link, report }: ExamineOptions, target: Target): Promise<boolean> {
  const stage = 'dial';
  const begun = performance.now();
  try {
    const stream = await openThrough(link, target, { wantsStatus: true, timeout: 3 * ASK_TIMEOUT_MS });
    const took = performance.now() - begun;
    stream.on('error', () => {}).destroy();
    report({ stage, result: 'ok', found: `${formatTarget(target)} accepts connections`, took });
    return true;
  } catch (error) {
    const reply = error instanceof RefusedTarget ? error.reply : undefined;
    report({ stage, result: 'failed', found: messageOf(error), advice: adviceForDial(reply, target) });
    return false;
  }
}

/**
 * Of a server that does not tell what became of a connection, the connection does.
 *
 * @param isKeyRight as the server has shown already.
 */
export async function examinePlainDial(
  { link, report }: ExamineOptions,
  target: Target,
  isKeyRight = false,
): Promise<boolean> {
  const stage = 'dial';
  const to = formatTarget(target);
  try {
    const sign = await firstSign(await openThrough(link, target));
    if (sign === 'answer') report({ stage, result: 'ok', found: `${to} answers, so the key is right` });
    else if (sign === 'none') report({ stage, result: 'warning', found: `${to} was asked for, and ${NO_STATUS}` });
    else
      report({
        stage,
        result: 'failed',
        found: `${to} was asked for, and ${isKeyRight ? ENDED_THIS : ENDED}`,
        advice: adviceForEnd(link, isKeyRight),
      });
    return sign !== 'end';
  } catch (error) {
    const isAnswer = isServersFault(error as Error);
    const advice = isAnswer ? adviceForKey(link.server) : adviceForTcp(error, link.server.port, link.through);
    report({ stage, result: 'failed', found: messageOf(error), advice });
    return false;
  }
}

export async function examineThroughput({ report }: ExamineOptions, link: ExaminedServer): Promise<void> {
  const stage = 'throughput';
  try {
    const begun = performance.now();
    await askInformation(link, '/v1/info');
    const roundTrip = (performance.now() - begun) / 2; // one to connect, one to ask
    let took = await timeDownload(link, DOWNLOAD_BYTES);
    if (took === 'busy') {
      await delay(MEASURING_PAUSE_MS);
      took = await timeDownload(link, DOWNLOAD_BYTES);
    }
    report({ stage, result: 'ok', found: `round trip ${roundTrip.toFixed(1)} ms, ${rateInWords(took)}` });
  } catch (error) {
    report({
      stage,
      result: 'failed',
      found: messageOf(error),
      advice: 'the way to the server loses what is large: look at MTU and VPN',
    });
  }
}

function rateInWords(took: number | 'busy' | undefined): string {
  if (took === undefined) return 'this server has no measure of throughput';
  if (took === 'busy') return 'its throughput is being measured by somebody else with this key';
  return `${(DOWNLOAD_BYTES / took / 1000).toFixed(1)} MB/s down`;
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

const NO_STATUS = 'the connection stays; more a server of this kind does not tell';
const ENDED = 'the server ended that connection, too';
const ENDED_THIS = 'the server ended the connection';
