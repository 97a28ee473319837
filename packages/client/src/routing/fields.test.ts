import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '@podsocks/shared/settings/config-file';
import { createProgram } from '@podsocks/shared/settings/program';
import { envLayer, flagLayer } from '@podsocks/shared/settings/settings';
import { afterAll, expect, it } from 'vitest';
import { describeRoutes, ROUTE_SETTINGS, routeFields, routeOf } from './fields.ts';

const folder = mkdtempSync(join(tmpdir(), 'podsocks-routes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const written = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** As ss-local reads them. */
function read(argv: string, { env = {}, file }: { env?: Record<string, string>; file?: object } = {}) {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const program = createProgram({ name: 'x', version: '1', summary: '' }, ROUTE_SETTINGS, { write: () => true });
  program.action(() => {}).parse(argv === '' ? [] : argv.split(' '), { from: 'user' });
  const fileLayer = file
    ? readConfigFile(written('c.json', JSON.stringify(file)), routeFields, { noEffect: {}, refused: {} }, warn)
    : {};
  const given = { ...fileLayer, ...envLayer(ROUTE_SETTINGS, env), ...flagLayer(ROUTE_SETTINGS, program.opts()) };
  const settings = routeOf(given, warn);
  const short = (text: string) => text.replaceAll(`${folder}/`, '');
  return { settings, froms: settings.rules.map(({ from }) => short(from)), warnings: warnings.map(short) };
}

it('is nothing in particular without any of them', () => {
  expect(read('')).toEqual({ settings: { rules: [], default: 'tunnel', namespaces: [] }, froms: [], warnings: [] });
});

it('takes rejections first, and of the others the narrowest', () => {
  const flags =
    '--tunnel *.corp.example --tunnel 10.0.0.0/8 --direct 10.5.0.0/16 --direct :443 --reject :25 --reject 10.9.0.0/16';
  const { froms, settings } = read(
    `${flags} --direct *.corp.example --direct db.corp.example --tunnel 10.5.0.0/16:443`,
  );
  expect(froms).toEqual([
    '--reject :25',
    '--reject 10.9.0.0/16',
    '--direct db.corp.example',
    '--direct *.corp.example',
    '--tunnel *.corp.example',
    '--tunnel 10.5.0.0/16:443',
    '--direct 10.5.0.0/16',
    '--tunnel 10.0.0.0/8',
    '--direct :443',
  ]);
  expect(settings.mode).toBeUndefined();
  expect(settings.rules[5]).toMatchObject({ way: 'tunnel', ports: [{ first: 443, last: 443 }] });
});

it('keeps the order of the file, after the flags', () => {
  const file = {
    routes: [
      { way: 'tunnel', to: ['*', '10.0.0.0/8'] },
      { way: 'direct', to: '10.5.0.0/16:1-2' },
    ],
  };
  const { froms } = read('--tunnel a.example', { env: { SS_DIRECT: 'b.example,10.1.0.0/16:80' }, file });
  expect(froms).toEqual([
    'SS_DIRECT b.example',
    '--tunnel a.example',
    'SS_DIRECT 10.1.0.0/16:80',
    'c.json: routes[0]: *',
    'c.json: routes[0]: 10.0.0.0/8',
    'c.json: routes[1]: 10.5.0.0/16:1-2',
  ]);
});

it('puts what an access control list blocks before all, and its lists behind all', () => {
  const path = written('my.acl', '[bypass_all]\n[proxy_list]\n10.0.0.0/8\n[outbound_block_list]\n192.0.2.1\n');
  const { froms, settings } = read(`--acl ${path} --direct a.example`);
  expect(froms).toEqual(['--acl my.acl: [outbound_block_list]', '--direct a.example', '--acl my.acl: [proxy_list]']);
  expect(settings).toMatchObject({ mode: 'rules', default: 'direct' });
  expect(read(`--acl ${path} --route-default reject`).settings.default).toBe('reject');
  expect(read(`--route auto`, { file: { acl: path } }).settings.mode).toBe('auto');
  expect(() => read(`--acl ${join(folder, 'none')}`)).toThrow(/^--acl: cannot read .*none \(ENOENT\)/);
});

it('goes by rules where only their default is given', () => {
  expect(read('--route-default direct').settings).toMatchObject({ mode: 'rules', default: 'direct' });
  expect(read('', { file: { route: 'auto' } }).settings.mode).toBe('auto');
});

it('takes namespaces, the first one first and each once', () => {
  expect(read('--namespace b --namespace a --namespace b').settings.namespaces).toEqual(['b', 'a']);
  expect(read('', { env: { SS_NAMESPACE: 'x, y' } }).settings.namespaces).toEqual(['x', 'y']);
  expect(read('', { file: { namespace: 'z' } }).settings.namespaces).toEqual(['z']);
});

it('says what has no effect', () => {
  const file = { routes: [{ way: 'direct', to: 'a.example' }] };
  expect(read('--route all --tunnel b.example', { file }).warnings).toEqual([
    '--tunnel: has no effect, because --route says all; leave one of them out',
    'c.json: routes: has no effect, because --route says all; leave one of them out',
  ]);
  expect(read('--route auto --route-default direct --tunnel b.example').warnings).toEqual([
    '--route-default: has no effect, because --route says auto; leave one of them out',
  ]);
  expect(read('--route rules', { file }).warnings).toEqual([]);
});

it.each([
  ['--route some', undefined, '--route: "some" is not one of auto, all, rules'],
  ['--tunnel http://a', undefined, '--tunnel: "http://a" is no target of a route'],
  ['--route-default no', undefined, '--route-default: "no" is not one of tunnel, direct, reject'],
  ['--namespace A.b', undefined, '--namespace: "A.b" is no namespace; give a name as kubectl get namespaces prints it'],
  ['', { routes: [{ way: 'direct' }] }, 'c.json: routes[0].to: is missing'],
  ['', { routes: [{ to: '*' }] }, 'c.json: routes[0].way: is missing'],
  ['', { routes: [{ way: 'up', to: '*' }] }, 'c.json: routes[0].way: "up" is not one of tunnel, direct, reject'],
  ['', { routes: [{ way: 'direct', to: [] }] }, 'c.json: routes[0].to: is empty; list a target'],
  [
    '',
    { routes: [{ way: 'direct', to: ['10.0.0.1/8'] }] },
    'c.json: routes[0].to: 10.0.0.1/8 has bits behind its prefix',
  ],
  ['', { routes: [{ way: 'direct', too: '*' }] }, 'c.json: routes[0].too: unknown field; did you mean "to"?'],
  ['', { namespace: '' }, 'c.json: namespace: "" is no namespace'],
])('%s %j is refused', (argv, file, message) => {
  const attempt = () => read(argv, file && { file });
  expect(attempt).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining(message.replace('c.json', '')) }),
  );
  expect(attempt).toThrow(message.split(': ').at(-1));
});

it('describes itself', () => {
  expect(describeRoutes(read('--namespace a --namespace b').settings)).toEqual([
    [
      'route',
      "what is the cluster's through the tunnel, all else directly, if the server tells what its cluster is; else everything through the tunnel",
    ],
    ['namespaces', 'a, b'],
  ]);
  expect(describeRoutes(read('--tunnel a --direct b --route-default direct').settings)).toEqual([
    ['route', 'by rules; where none applies, direct'],
    ['route rules', '2'],
  ]);
});
