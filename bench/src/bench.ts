/**
 * The benchmark: podsocks and other implementations of Shadowsocks, by turns, on this machine.
 *
 *   npm run bench -- --help
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeAbsence } from '@podsocks/shared/crypto/aead-native';
import { isPartial, type Options, parseArguments, UsageError, usage } from './arguments.ts';
import { cleanUpAtExit, removeAtExit } from './children.ts';
import { CONTESTANTS, type Contestant, labelOf, needs, needsNativeAddon } from './contestants.ts';
import { machineFacts, type PeerFacts, peerFacts } from './facts.ts';
import { findImplementation, IMPLEMENTATIONS, type Implementation, type Programs } from './implementations.ts';
import { MEASURES } from './measures/measures.ts';
import { pinningHere } from './pinning.ts';
import { compare } from './report/ratios.ts';
import { markdownReport, type Report } from './report/report.ts';
import { writeResults } from './report/write-results.ts';
import { runMeasures } from './run.ts';

const RESULTS = fileURLToPath(new URL('../results', import.meta.url));
/** A load average from which on others than the benchmark take processor time that matters. */
const BUSY = 0.5;
const NAMES = MEASURES.map(({ name }) => name);

async function main(): Promise<number> {
  const options = parseArguments(process.argv.slice(2), NAMES);
  if (options === 'help') {
    process.stdout.write(usage(NAMES));
    return 0;
  }
  if (process.platform !== 'linux') {
    console.error('bench: this runs on Linux only: it reads the usage of processes from /proc');
    return 1;
  }
  cleanUpAtExit();
  const named = chooseContestants(options);
  const { programs, facts, leftOut } = findPrograms();
  for (const words of leftOut) console.error(`left out: ${words}`);
  for (const { implementation, version, paths, built } of facts) {
    console.error(`${implementation} ${version}: ${paths.join(', ')}; ${built}`);
  }
  const contestants = named.filter(contestant => canRun(contestant, programs));
  if (contestants.length === 0) {
    console.error('bench: none of the contestants can run on this machine');
    return 1;
  }
  const pinning = pinningHere();
  console.error(pinning.words);

  const directory = mkdtempSync(join(tmpdir(), 'podsocks-bench-'));
  removeAtExit(directory);
  const { quick, rounds, only } = options;
  const chosen = MEASURES.filter(({ name }) => only.length === 0 || only.includes(name));
  const machine = machineFacts();
  if (machine.loadBefore > BUSY) {
    console.error(
      `this machine is busy (load average ${machine.loadBefore.toFixed(2)}): the numbers will be worth less`,
    );
  }
  const measures = await runMeasures(chosen, { quick, contestants, programs, pinning, directory }, rounds);
  const report: Report = {
    format: 1,
    options: { quick, rounds, only, contestants: options.contestants },
    machine,
    pinning: pinning.words,
    // Where programs are on this machine concerns nobody else.
    implementations: facts.map(({ paths: _, ...rest }) => rest),
    leftOut,
    measures,
    ratios: compare(measures),
  };
  process.stdout.write(markdownReport(report, MEASURES));
  publish(options, report);
  return measures.some(({ subjects }) => subjects.some(({ failure }) => failure !== undefined)) ? 1 : 0;
}

function findPrograms() {
  const programs = new Map<Implementation, Programs>();
  const facts: PeerFacts[] = [];
  const leftOut: string[] = [];
  for (const implementation of IMPLEMENTATIONS) {
    const found = findImplementation(implementation);
    if ('missing' in found) {
      leftOut.push(`not installed: ${found.missing}; install with: ${found.install}`);
    } else {
      programs.set(implementation, found.programs);
      facts.push(peerFacts(implementation, found.programs));
    }
  }
  const absence = nativeAbsence();
  if (absence !== undefined) {
    leftOut.push(`podsocks (native): there is no native addon (${absence}); install with: npm run build:native`);
  }
  return { programs, facts, leftOut };
}

function chooseContestants(options: Options): Contestant[] {
  const { quick, contestants: parts } = options;
  const chosen = CONTESTANTS.filter(contestant => {
    const named = parts.length === 0 || parts.some(part => labelOf(contestant).includes(part));
    return named && (contestant.quick || !quick);
  });
  if (chosen.length > 0) return chosen;
  const candidates = CONTESTANTS.filter(contestant => contestant.quick || !quick).map(labelOf);
  throw new UsageError(`--contestants: none is named like that; there are\n  ${candidates.join('\n  ')}`);
}

function canRun(contestant: Contestant, programs: ReadonlyMap<Implementation, Programs>): boolean {
  const missing = IMPLEMENTATIONS.some(
    implementation => needs(contestant, implementation) && !programs.has(implementation),
  );
  return !missing && !(needsNativeAddon(contestant) && nativeAbsence() !== undefined);
}

function publish(options: Options, report: Report): void {
  const directory = options.out ?? (isPartial(options) ? undefined : RESULTS);
  if (directory === undefined) {
    console.error('nothing is written, as this is no whole run: --out DIR says where to');
    return;
  }
  writeResults(directory, report, MEASURES);
  console.error(`written: latest.json, latest.md and charts in ${directory}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
}
