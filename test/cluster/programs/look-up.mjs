// Looks names up as ss-server does, and as getent does, by the same files of this machine:
//   node look-up.mjs FILE
// FILE is JSON, a list of names. Prints JSON: for each name what both found, addresses in order of their text.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createResolver } from '@podsocks/server/resolver/resolver';

const names = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const resolver = createResolver({
  resolvConf: '/etc/resolv.conf',
  hosts: '/etc/hosts',
  ipv6First: false,
  now: () => performance.now(),
});

const own = await Promise.all(
  names.map(name =>
    resolver.resolve(name).then(
      found => found.map(({ address }) => address).sort(),
      () => [],
    ),
  ),
);
resolver.close();

const script = 'for name; do getent ahosts -- "$name"; echo "#"; done';
const { stdout, status, stderr } = spawnSync('sh', ['-c', script, 'sh', ...names], { encoding: 'utf8' });
if (status !== 0) throw new Error(`getent: ${stderr}`);
const getent = stdout.split('#\n').map(found => [...new Set(found.match(/^\S+/gm))].sort());
console.log(JSON.stringify(names.map((name, index) => ({ name, own: own[index], getent: getent[index] }))));
