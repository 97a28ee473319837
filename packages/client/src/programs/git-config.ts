type Environment = Readonly<Record<string, string | undefined>>;

type Entry = readonly [key: string, value: string];

const PROXY = 'http.proxy';

/**
 * The variables by which git takes settings that win over its files, with `http.proxy` among those that are there already.
 *
 * @param url undefined takes `http.proxy` out.
 * @returns each variable with its value; undefined: it is to go.
 */
export function gitConfigVariables(
  url: string | undefined,
  env: Environment,
): readonly (readonly [name: string, value: string | undefined])[] {
  const before = entriesOf(env);
  const others = before.filter(([key]) => key.toLowerCase() !== PROXY);
  const entries: readonly Entry[] = url === undefined ? others : [...others, [PROXY, url]];
  const pairs = entries.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key] as const,
    [`GIT_CONFIG_VALUE_${index}`, value] as const,
  ]);
  const surplus = before
    .slice(entries.length)
    .flatMap((_, index) => [
      [`GIT_CONFIG_KEY_${entries.length + index}`, undefined] as const,
      [`GIT_CONFIG_VALUE_${entries.length + index}`, undefined] as const,
    ]);
  return [['GIT_CONFIG_COUNT', entries.length === 0 ? undefined : `${entries.length}`], ...pairs, ...surplus];
}

/** As git reads them; a count that makes no sense is none. */
function entriesOf(env: Environment): readonly Entry[] {
  const count = /^\d{1,3}$/.test(env.GIT_CONFIG_COUNT ?? '') ? Number(env.GIT_CONFIG_COUNT) : 0;
  return Array.from({ length: count }, (_, index): Entry => {
    return [env[`GIT_CONFIG_KEY_${index}`] ?? '', env[`GIT_CONFIG_VALUE_${index}`] ?? ''];
  }).filter(([key]) => key !== '');
}
