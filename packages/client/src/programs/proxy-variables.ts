import { gitConfigVariables } from './git-config.ts';
import { httpOptions, MAVEN_OPTIONS, socksOptions, withJavaOptions } from './java-options.ts';
import { isLoopback, type ProxyEndpoint, proxyUrl } from './proxy-endpoint.ts';

/** Who needs variables beside those that most programs read. */
export const ECOSYSTEMS = ['java', 'maven', 'gradle', 'git', 'npm', 'pip'] as const;

export type Ecosystem = (typeof ECOSYSTEMS)[number];

/** An environment variable; without a value it is to go. */
export interface Variable {
  readonly name: string;
  readonly value: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of them that have no place for a user name and password. */
export const WITHOUT_PASSWORD: readonly Ecosystem[] = ['java', 'maven', 'gradle'];

/**
 * What to set so that programs go through a proxy. Where it asks for a password, the JVM's variables are left as they are
 * without ours: a JVM has no setting for it, and its options are shown to everybody.
 *
 * @param env what is set already: options of others in the same variables stay.
 */
export function proxyVariables(
  proxy: ProxyEndpoint,
  ecosystems: readonly Ecosystem[],
  env: Environment,
): readonly Variable[] {
  const http = proxyUrl('http', proxy);
  const java = proxy.access === undefined ? httpOptions(proxy) : [];
  const javaAll = proxy.access === undefined ? [...java, ...socksOptions(proxy)] : [];
  return variables({
    socks: proxyUrl('socks5h', proxy),
    http,
    direct: directHosts(proxy.host),
    node: '1',
    ecosystems,
    env,
    options: { java: javaAll, maven: java.length > 0 ? [...java, ...MAVEN_OPTIONS] : [], gradle: java },
  });
}

/** The same variables, to be as they were without a proxy. */
export function withoutProxy(ecosystems: readonly Ecosystem[], env: Environment): readonly Variable[] {
  const none = undefined;
  const options = { java: [], maven: [], gradle: [] };
  return variables({ socks: none, http: none, direct: none, node: none, ecosystems, env, options });
}

interface Values {
  readonly socks: string | undefined;
  readonly http: string | undefined;
  readonly direct: string | undefined;
  readonly node: string | undefined;
  readonly ecosystems: readonly Ecosystem[];
  readonly env: Environment;
  readonly options: Readonly<Record<'java' | 'maven' | 'gradle', readonly string[]>>;
}

function variables({ socks, http, direct, node, ecosystems, env, options }: Values): readonly Variable[] {
  const of: Readonly<Record<Ecosystem, () => readonly (readonly [string, string | undefined])[]>> = {
    java: () => [['JAVA_TOOL_OPTIONS', withJavaOptions(env.JAVA_TOOL_OPTIONS, options.java)]],
    maven: () => [['MAVEN_OPTS', withJavaOptions(env.MAVEN_OPTS, options.maven)]],
    gradle: () => [['GRADLE_OPTS', withJavaOptions(env.GRADLE_OPTS, options.gradle)]],
    git: () => gitConfigVariables(socks, env),
    // yarn since version 2 reads its own; before, and pnpm, those of npm.
    npm: () => [
      ...['npm_config_proxy', 'npm_config_https_proxy'].map(name => [name, http] as const),
      ...['YARN_HTTP_PROXY', 'YARN_HTTPS_PROXY'].map(name => [name, http] as const),
    ],
    pip: () => [['PIP_PROXY', http]],
  };
  const common = [
    ['ALL_PROXY', socks],
    // By HTTP, since Go, wget, apt, Python and Node know no socks5h, and names go to the proxy all the same.
    ['HTTP_PROXY', http],
    ['HTTPS_PROXY', http],
    ['NO_PROXY', direct],
  ] as const;
  return [
    // curl and wget read `http_proxy` only: a web server's HTTP_PROXY may be a header of a stranger (httpoxy).
    ...common.flatMap(([name, value]) => [[name, value] as const, [name.toLowerCase(), value] as const]),
    // Node.js reads the variables above only where this is set (22.21, 24.5).
    ['NODE_USE_ENV_PROXY', node] as const,
    ...ECOSYSTEMS.filter(name => ecosystems.includes(name)).flatMap(name => of[name]()),
  ].map(([name, value]) => ({ name, value }));
}

/**
 * This machine's own. The single address stands beside the network for programs that compare texts (Python, Node), and IPv6
 * has no brackets: httpx ends with an error where there are some. The proxy's own address is there for programs that send
 * what is for it (its status, its PAC file) through it.
 */
function directHosts(host: string): string {
  const own = isLoopback(host) ? [] : [host];
  return ['localhost', '127.0.0.1', '127.0.0.0/8', '::1', ...own].join(',');
}
