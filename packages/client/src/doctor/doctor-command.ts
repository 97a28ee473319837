import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { printWarnings, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { type Settings, toggle } from '@podsocks/shared/settings/settings';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { type LoadedClient, loadClient } from '../config.ts';
import { attachedNetworks } from '../listen/machine-addresses.ts';
import { clusterOf } from '../routing/cluster-routes.ts';
import { Router } from '../routing/router.ts';
import { isServerUrl } from '../url-ahead.ts';
import { examine } from './examine.ts';
import type { OpenedExamined } from './examined-servers.ts';
import { type Examination, exitCodeOf, type Finding, STAGES } from './finding.ts';

const DOCTOR_SETTINGS = {
  json: toggle('--json', 'print it as JSON'),
} satisfies Settings;

export interface DoctorDependencies {
  readonly openExamined: (loaded: LoadedClient) => Promise<OpenedExamined>;
  readonly setExitCode: (code: number) => void;
}

/** `ss-local doctor [host:port]`: where the way from here to a target ends, and what to do about it. */
export function addDoctorCommand(
  program: Command,
  env: Readonly<Record<string, string | undefined>>,
  surroundings: Surroundings,
  { openExamined, setExitCode }: DoctorDependencies,
): void {
  const { stdout } = surroundings;
  const command = program
    .command('doctor')
    .description('say what works on the way to a target, and what to do about the rest');
  command.argument('[host:port]', 'target, as a program would ask for it');
  addSettings(command, DOCTOR_SETTINGS);
  const codes = Object.entries(STAGES).map(([stage, code]) => `${code} ${stage}`);
  command.addHelpText(
    'after',
    `\nThe settings of ss-local (see: ss-local --help) say which servers; a URL stands ahead: ss-local 'ss://…' doctor web.default:80\nExit codes: 0 all is well, ${codes.join(', ')}`,
  );
  command.action(async (given: string | undefined) => {
    const isJson = command.opts().json === true;
    const target = given === undefined ? undefined : parseTarget(given);
    const loaded = loadClient(program.opts(), env);
    if (!isJson) printWarnings('ss-local', loaded, surroundings);
    const opened = await openExamined(loaded);
    const examinations: Examination[] = [];
    for (const link of opened.servers) {
      const { name } = link.server;
      const server = name === undefined ? formatTarget(link.server) : `${formatTarget(link.server)} (${name})`;
      const findings: Finding[] = [];
      if (!isJson) stdout.write(`${server}\n`);
      const report = (finding: Finding) => {
        findings.push(finding);
        if (!isJson) stdout.write(render(finding));
      };
      report({ stage: 'configuration', result: 'ok', found: `${link.server.method.name}, as given` });
      await examine({ link, target, wayTo: wayToOf(loaded), report });
      examinations.push({ server, findings });
    }
    await opened.close();
    const code = exitCodeOf(examinations);
    if (isJson) stdout.write(`${JSON.stringify({ exitCode: code, servers: examinations }, null, 2)}\n`);
    else stdout.write(code === 0 ? verdict(examinations) : '');
    setExitCode(code);
  });
}

/** Each server is asked about by itself, so what one has said does not hold for the next. */
function wayToOf({ config }: LoadedClient): NonNullable<Parameters<typeof examine>[0]['wayTo']> {
  return (target, known) => {
    const router = new Router(config.route, attachedNetworks());
    if (known === undefined) router.learn(undefined, 'plain');
    else router.learn(clusterOf(known), 'podsocks');
    return router.decide(target);
  };
}

function verdict(examinations: readonly Examination[]): string {
  const results = new Set(examinations.flatMap(({ findings }) => findings.map(({ result }) => result)));
  if (results.has('failed')) return 'It works, but not by the server where something is marked "✗".\n';
  return results.has('warning') ? 'Nothing has failed; look at what is marked "!".\n' : 'All is well.\n';
}

const MARKS: Record<Finding['result'], string> = { ok: '✓', warning: '!', failed: '✗', skipped: '-' };

function render({ stage, result, found, advice, took }: Finding): string {
  const time = took === undefined ? '' : ` (${took < 10 ? took.toFixed(1) : Math.round(took)} ms)`;
  const line = `  ${MARKS[result]} ${stage.padEnd(14)} ${found}${time}\n`;
  return advice === undefined ? line : `${line}${' '.repeat(19)}→ ${advice}\n`;
}

function parseTarget(given: string): Target {
  const [, six, host, digits] = /^(?:\[([^\]]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(given) ?? [];
  const port = Number(digits);
  if (port >= 1 && port <= 0xffff) return targetOf(six ?? host!, port);
  if (isServerUrl(given))
    throw new PodsocksError('ERR_USAGE', "doctor: the URL stands ahead: ss-local 'ss://…' doctor host:port");
  throw new PodsocksError('ERR_USAGE', 'doctor: the target is not host:port, such as web.default.svc.cluster.local:80');
}
