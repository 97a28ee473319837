import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { proxyUrl } from './proxy-endpoint.ts';
import { ECOSYSTEMS, type Ecosystem, proxyVariables, withoutProxy } from './proxy-variables.ts';

const HERE = { host: '127.0.0.1', port: 1080 };
const ADA = { username: 'ada', password: 'pass word' };

type Environment = Record<string, string | undefined>;

function given(ecosystems: readonly Ecosystem[], env: Environment = {}, proxy = {}): Environment {
  const variables = proxyVariables({ ...HERE, ...proxy }, ecosystems, env);
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

/** An environment after what is printed for it was evaluated. */
function after(env: Environment, variables: ReturnType<typeof proxyVariables>): Environment {
  const result = { ...env };
  for (const { name, value } of variables) {
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  return result;
}

describe('what every program gets', () => {
  it('is SOCKS for those that know it, HTTP for the others, in both spellings', () => {
    const [socks, http] = ['socks5h://127.0.0.1:1080', 'http://127.0.0.1:1080'];
    const direct = 'localhost,127.0.0.1,127.0.0.0/8,::1';
    expect(given([])).toEqual({
      ...{ ALL_PROXY: socks, all_proxy: socks },
      ...{ HTTP_PROXY: http, http_proxy: http, HTTPS_PROXY: http, https_proxy: http },
      ...{ NO_PROXY: direct, no_proxy: direct },
      NODE_USE_ENV_PROXY: '1',
    });
  });

  it('names an address of another network, and an IPv6 address in brackets', () => {
    const lan = given([], {}, { host: '192.168.1.5' });
    expect(lan.NO_PROXY).toBe('localhost,127.0.0.1,127.0.0.0/8,::1,192.168.1.5');
    expect(given([], {}, { host: '::1' })).toMatchObject({
      HTTP_PROXY: 'http://[::1]:1080',
      NO_PROXY: expect.stringMatching(/::1$/),
    });
  });

  it('has user name and password as any URL parser reads them', () => {
    const anything = fc.string({ minLength: 1, unit: 'binary' });
    fc.assert(
      fc.property(anything, anything, (username, password) => {
        for (const scheme of ['http', 'socks5h'] as const) {
          const text = proxyUrl(scheme, { ...HERE, access: { username, password } });
          expect(text).toMatch(/^[a-z0-9]+:\/\/[\w.~%-]+:[\w.~%-]+@127\.0\.0\.1:1080$/);
          const url = new URL(text);
          expect([url.username, url.password].map(decodeURIComponent)).toEqual([username, password]);
        }
      }),
    );
  });
});

describe('what ecosystems get', () => {
  it('is for the JVM: HTTP by the HTTP proxy, all else by SOCKS', () => {
    const { JAVA_TOOL_OPTIONS, MAVEN_OPTS, GRADLE_OPTS } = given(['java', 'maven', 'gradle']);
    const http = '-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=1080 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1080';
    expect(JAVA_TOOL_OPTIONS).toBe(`${http} -DsocksProxyHost=127.0.0.1 -DsocksProxyPort=1080`);
    expect(MAVEN_OPTS).toBe(`${http} -Daether.connector.http.useSystemProperties=true`);
    expect(GRADLE_OPTS).toBe(http);
  });

  it('keeps the HTTP proxy out of SOCKS where it is not on loopback', () => {
    const { JAVA_TOOL_OPTIONS } = given(['java'], {}, { host: '192.168.1.5' });
    expect(JAVA_TOOL_OPTIONS).toContain(' -DsocksNonProxyHosts=localhost|127.*|[::1]|192.168.1.5');
  });

  it('is nothing for the JVM where the proxy asks for a password, which would be for all to see', () => {
    const before = { JAVA_TOOL_OPTIONS: '-Xmx1g', GRADLE_OPTS: '-Dhttp.proxyHost=old -Xss1m' };
    const all = given([...ECOSYSTEMS], before, { access: ADA });
    expect(all).toMatchObject({ JAVA_TOOL_OPTIONS: '-Xmx1g', MAVEN_OPTS: undefined, GRADLE_OPTS: '-Xss1m' });
    expect(all.PIP_PROXY).toBe('http://ada:pass%20word@127.0.0.1:1080');
    expect(all.GIT_CONFIG_VALUE_0).toBe('socks5h://ada:pass%20word@127.0.0.1:1080');
  });

  it('is for git one of its settings by variables, behind those that are there', () => {
    const before = {
      GIT_CONFIG_COUNT: '3',
      ...{ GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Ada' },
      ...{ GIT_CONFIG_KEY_1: 'http.Proxy', GIT_CONFIG_VALUE_1: 'http://old:1' },
      ...{ GIT_CONFIG_KEY_2: 'core.pager', GIT_CONFIG_VALUE_2: '' },
    };
    const now = after(before, proxyVariables(HERE, ['git'], before));
    expect(now).toMatchObject({
      GIT_CONFIG_COUNT: '3',
      ...{ GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Ada' },
      ...{ GIT_CONFIG_KEY_1: 'core.pager', GIT_CONFIG_VALUE_1: '' },
      ...{ GIT_CONFIG_KEY_2: 'http.proxy', GIT_CONFIG_VALUE_2: 'socks5h://127.0.0.1:1080' },
    });
    const without = after(now, withoutProxy(['git'], now));
    expect(without).toEqual({
      GIT_CONFIG_COUNT: '2',
      ...{ GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Ada' },
      ...{ GIT_CONFIG_KEY_1: 'core.pager', GIT_CONFIG_VALUE_1: '' },
    });
    expect(given(['git'], { GIT_CONFIG_COUNT: 'many' }).GIT_CONFIG_COUNT).toBe('1');
  });

  it.each([
    ['no options', {}],
    ['options of others', { JAVA_TOOL_OPTIONS: '-Xmx1g -Da="b c"', MAVEN_OPTS: '-Xss1m', GRADLE_OPTS: '-Dq=1' }],
  ])('is the same when it is evaluated again, and gone without a trace: %s', (_, env: Environment) => {
    const once = after(env, proxyVariables(HERE, ECOSYSTEMS, env));
    const other = after(once, proxyVariables({ host: '192.168.1.5', port: 7 }, ECOSYSTEMS, once));
    const twice = after(other, proxyVariables(HERE, ECOSYSTEMS, other));
    expect(twice).toEqual(once);
    expect(Object.keys(once)).toEqual(expect.arrayContaining(['npm_config_proxy', 'YARN_HTTPS_PROXY', 'PIP_PROXY']));
    expect(after(twice, withoutProxy(ECOSYSTEMS, twice))).toEqual(env);
  });
});
