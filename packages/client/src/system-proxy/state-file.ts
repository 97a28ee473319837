import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { DESKTOPS, type DesktopName, PROXY_KINDS, type ProxyKind, type Values } from './desktop.ts';

/** What has been changed, so that it can be put back. */
export interface State {
  readonly desktop: DesktopName;
  readonly kind: ProxyKind;
  /** ISO 8601. */
  readonly since: string;
  /** What was there, and what was put in its place: the same names. */
  readonly before: Values;
  readonly ours: Values;
}

/**
 * The file that remembers what was there while the system's proxy is ours. What was there may hold a password in a URL,
 * so the file is for its user only.
 */
export class StateFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * @returns undefined where nothing has been changed.
   * @throws PodsocksError ERR_CONFIG where the file cannot be read or is damaged.
   */
  read(): State | undefined {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#failed('read', error);
    }
    const state = parsed(text);
    if (state !== undefined) return state;
    const mend = "set the system's proxy as it should be, and remove the file";
    throw new PodsocksError(
      'ERR_CONFIG',
      `${this.path}: is damaged, so it does not tell what was there before; ${mend}`,
    );
  }

  /** Replaces the file as a whole: whoever looks, or pulls the plug, finds the old one or the new one. */
  write(state: State): void {
    const draft = `${this.path}.new`;
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      rmSync(draft, { force: true });
      const descriptor = openSync(draft, 'wx', 0o600);
      try {
        writeFileSync(descriptor, `${JSON.stringify(state, null, 2)}\n`);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(draft, this.path);
    } catch (error) {
      throw this.#failed('written', error);
    }
  }

  /** With its directory, if nothing else is in there. */
  remove(): void {
    try {
      rmSync(this.path, { force: true });
    } catch (error) {
      throw this.#failed('removed', error);
    }
    try {
      rmdirSync(dirname(this.path));
    } catch {
      // Something else is in there, or it was never made.
    }
  }

  #failed(what: string, error: unknown): PodsocksError {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    return new PodsocksError('ERR_CONFIG', `${this.path}: cannot be ${what} (${reason}); mend that, and try again`);
  }
}

function parsed(text: string): State | undefined {
  let json: Partial<State> | null;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { desktop, kind, since, before, ours } = json;
  const isWhole =
    DESKTOPS.includes(desktop as DesktopName) &&
    PROXY_KINDS.includes(kind as ProxyKind) &&
    typeof since === 'string' &&
    areValues(before) &&
    areValues(ours) &&
    Object.keys(before).sort().join('\n') === Object.keys(ours).sort().join('\n');
  return isWhole ? (json as State) : undefined;
}

function areValues(values: unknown): values is Values {
  return (
    typeof values === 'object' &&
    values !== null &&
    Object.values(values).every(value => value === null || typeof value === 'string')
  );
}
