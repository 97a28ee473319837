/** A program and its arguments, run without a shell. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Settings of a desktop by name, each as its own tool prints and takes it; null: it is not set.
 * They are never interpreted between reading and putting back, so that what comes back is what was there.
 */
export type Values = Readonly<Record<string, string | null>>;

export const PROXY_KINDS = ['pac', 'socks'] as const;
export type ProxyKind = (typeof PROXY_KINDS)[number];

/** What the desktop shall be told. */
export interface ProxyAim {
  readonly kind: ProxyKind;
  readonly host: string;
  readonly port: number;
  /** Of the cluster: `cluster.local`. */
  readonly domains: readonly string[];
}

export const DESKTOPS = ['gnome', 'kde', 'macos', 'windows'] as const;
export type DesktopName = (typeof DESKTOPS)[number];

/** How one desktop's proxy settings are read and written. Runs commands to read, and only names those that write. */
export interface Desktop {
  readonly name: DesktopName;
  /**
   * What is set now.
   *
   * @param groups of which, where they are there; default: of all that shall be changed.
   * @throws PodsocksError where the desktop's tool is missing, or says something else than expected.
   */
  read(groups?: readonly string[]): Promise<Values>;
  /**
   * What has to be set, and nothing else.
   *
   * @param base what would be set without us.
   * @throws PodsocksError ERR_CONFIG where that could not be put back.
   */
  values(aim: ProxyAim, base: Values): Values;
  /**
   * Commands that make `changes` of what is set now.
   *
   * @param again whether they were tried before and did not have the effect, which some values need another way for.
   */
  write(changes: Values, current: Values, again: boolean): readonly Command[];
  /** What these settings send elsewhere already, for a message; undefined: nothing. */
  inUse(values: Values): string | undefined;
  /** Tells programs that run of the change; they can do without. */
  readonly announce?: Command;
  /** Settings that make sense only together: the network service on macOS. */
  groupOf?(key: string): string;
  /** A file of settings that the desktop's tool leaves behind empty, where there was none. */
  readonly mayStayEmpty?: string;
}

/** Those of `wanted` that are otherwise in `current`. */
export function differing(wanted: Values, current: Values): Values {
  return Object.fromEntries(Object.entries(wanted).filter(([key, value]) => current[key] !== value));
}

/** Those of `values` whose name is also in `others`. */
export function inBoth(values: Values, others: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => Object.hasOwn(others, key)));
}

/** The groups that these settings belong to. */
export function groupsIn({ groupOf }: Desktop, values: Values): readonly string[] {
  return [...new Set(Object.keys(values).map(key => groupOf?.(key) ?? ''))];
}

export const isEmpty = (values: Values): boolean => Object.keys(values).length === 0;
