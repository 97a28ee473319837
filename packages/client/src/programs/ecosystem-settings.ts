import { type Settings, toggle } from '@podsocks/shared/settings/settings';
import { ECOSYSTEMS, type Ecosystem } from './proxy-variables.ts';

/** The flags of `env` that ask for more variables. */
export const ECOSYSTEM_SETTINGS = {
  java: toggle('--java', 'JAVA_TOOL_OPTIONS, for every JVM'),
  maven: toggle('--maven', 'MAVEN_OPTS'),
  gradle: toggle('--gradle', 'GRADLE_OPTS'),
  git: toggle('--git', 'http.proxy, ahead of what the files of git say'),
  npm: toggle('--npm', 'npm, pnpm and yarn, ahead of what their files say'),
  pip: toggle('--pip', 'PIP_PROXY, ahead of what its files say'),
} satisfies Settings & Record<Ecosystem, unknown>;

/** Those that were asked for; `parsed` is commander's `opts()`. */
export function ecosystemsOf(parsed: Readonly<Record<string, unknown>>): readonly Ecosystem[] {
  return ECOSYSTEMS.filter(name => parsed[name] === true);
}
