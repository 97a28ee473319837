import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * A plugin that forwards as it is told, and does what its options say:
 *
 *   server              listens on SS_REMOTE_*, where it would on SS_LOCAL_*
 *   end                 ends at once, with a word on stderr
 *   deaf                never listens
 *   stubborn            ignores SIGTERM
 *   flood               writes to stderr without end
 *   tell=FILE           writes its environment, arguments and number into a file
 *   child               starts a process that stays when it ends
 *   dies-of=TEXT        ends when somebody sends this
 *   once=FILE           ends at once if the file is there, and makes it
 */
const PROGRAM = `#!${process.execPath}
const { connect, createServer } = require('node:net');
const { spawn } = require('node:child_process');
const { existsSync, writeFileSync } = require('node:fs');
const { env } = process;
const options = new Map((env.SS_PLUGIN_OPTIONS ?? '').split(';').map(option => option.split('=')));
const end = word => {
  process.stderr.write(word + '\\n');
  process.exitCode = 3;
};
if (options.has('end')) end('fake plugin: wrong options: ' + env.SS_PLUGIN_OPTIONS);
else if (options.has('once') && existsSync(options.get('once'))) end('fake plugin: not again');
else {
  if (options.has('once')) writeFileSync(options.get('once'), '');
  const [near, far] = ['LOCAL', 'REMOTE'].map(end => ({ host: env['SS_' + end + '_HOST'], port: env['SS_' + end + '_PORT'] }));
  const [from, to] = options.has('server') ? [far, near] : [near, far];
  if (options.has('stubborn')) process.on('SIGTERM', () => process.stderr.write('no\\n'));
  if (options.has('tell')) writeFileSync(options.get('tell'), JSON.stringify({ env, argv: process.argv, pid: process.pid }));
  process.stdout.write('fake plugin: hello\\n');
  if (options.has('child')) spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  if (options.has('flood')) {
    const write = () => process.stderr.write('flood '.repeat(1000) + '\\n', write);
    write();
  }
  if (options.has('deaf')) {
    process.stderr.write('fake plugin: deaf\\n');
    setInterval(() => {}, 1000);
  } else {
    createServer({ allowHalfOpen: true }, client => {
      const target = connect({ ...to, allowHalfOpen: true });
      client.on('data', bytes => {
        if (String(bytes) !== options.get('dies-of')) return;
        process.stderr.write('fake plugin: killed by a word\\n');
        process.exit(4);
      });
      client.pipe(target).pipe(client);
      for (const socket of [client, target]) socket.on('error', () => { client.destroy(); target.destroy(); });
    }).listen(from);
  }
}
`;

/** The path of the fake plugin, in a folder of the test's own. */
export function fakePlugin(name = 'fake-plugin'): { readonly folder: string; readonly path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-plugin-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, PROGRAM);
  chmodSync(path, 0o755);
  return { folder, path };
}
