import type { Endpoint } from '@podsocks/shared/net/listener';
import { posixWord, powerShellQuoted } from '../shell-quoting.ts';
import type { Command } from './system.ts';

/** What shall go to ss-local's DNS server, and where that is. */
export interface Wanted {
  readonly zones: readonly string[];
  /** An IP address and a port. */
  readonly server: Endpoint;
  /** Where the server's address comes from, for messages. */
  readonly from: string;
}

/** One change to the system. Paths are those of the system, without a test's root. */
export type Step =
  | { readonly do: 'make folder'; readonly path: string }
  | { readonly do: 'write'; readonly path: string; readonly text: string }
  | { readonly do: 'remove'; readonly path: string }
  /** If nothing else has come into it. */
  | { readonly do: 'remove folder'; readonly path: string }
  /** `undo` is for when it or a later step fails. */
  | { readonly do: 'run'; readonly command: Command; readonly undo?: Command };

/** All that leads from what there is to what is wanted. No steps: there is nothing to do. */
export interface Plan {
  readonly backend: BackendName;
  readonly steps: readonly Step[];
  /** After steps were undone, so that programs read again what is in the files. */
  readonly settle: readonly Command[];
}

export const BACKENDS = ['systemd-resolved', 'dnsmasq', 'networkmanager', 'resolver', 'nrpt'] as const;

export type BackendName = (typeof BACKENDS)[number];

/** The plan as people read it: what is written in full, and what is run so that it can be pasted into a shell. */
export function planText({ steps }: Plan): string {
  return steps.map(step => `${stepText(step)}\n`).join('');
}

function stepText(step: Step): string {
  if (step.do === 'run') return `run ${commandText(step.command)}`;
  if (step.do === 'write') return `write ${step.path}\n${step.text.trimEnd().replace(/^(?=.)/gm, '    ')}`;
  return `${step.do} ${step.path}`;
}

/** A command line for a shell; that of PowerShell, which has no need of the program's name, as it is typed there. */
export function commandText([program, ...args]: Command): string {
  if (program === 'powershell.exe') return args.at(-1)!;
  return [program, ...args].map(posixWord).join(' ');
}

/** A command line to be typed into PowerShell, which takes a program in quotes for a text, unless it is told to call it. */
export function powerShellText(command: Command): string {
  const words = command.map(word => (/^[\w:./\\-]+$/.test(word) ? word : powerShellQuoted(word)));
  return [...(words[0] === command[0] ? [] : ['&']), ...words].join(' ');
}
