import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type KnownServer, readInformation } from '../servers/known-server.ts';
import { adviceForKey } from './advice.ts';
import { askInformation } from './ask-server.ts';
import type { ExamineOptions } from './examine-options.ts';
import type { ExaminedServer } from './examined-server.ts';
import { messageOf } from './finding.ts';
import { explainSilence } from './silence.ts';

/** @returns what the server is; undefined for one of another kind. */
export async function examineKey({
  link,
  target,
  report,
}: ExamineOptions): Promise<KnownServer | 'silent' | undefined> {
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
        ...(target === undefined && { advice: 'give a target to see whether it is: ss-local doctor host:port' }),
      });
      return undefined;
    }
    if (code !== 'ERR_TIMEOUT') {
      report({ stage, result: 'failed', found: messageOf(error), advice: adviceForKey(link.server) });
      return 'silent';
    }
  }
  await examineSilence(link, report);
  return 'silent';
}

async function examineSilence(link: ExaminedServer, report: ExamineOptions['report']): Promise<void> {
  const silence = await explainSilence(link);
  if (silence.kind === 'key') {
    report({ stage: 'key', result: 'failed', found: SILENT, advice: adviceForKey(link.server, true) });
    return;
  }
  if (silence.kind === 'method') {
    const { name } = silence.method;
    const found = `the server speaks ${name}, and not ${link.server.method.name}`;
    report({
      stage: 'key',
      result: 'failed',
      found,
      advice: `ask for a new URL, or give it as -m ${name} (--method), or "method" in the file`,
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

const PLAIN =
  'the server ended the connection at once: one of another kind, which does not say whether the key is right, or no Shadowsocks server';
const SILENT = 'the server takes the connection and says nothing, as it does to whoever does not know its key';
