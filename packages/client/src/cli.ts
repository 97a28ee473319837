import { readFileSync } from 'node:fs';
import { startClient } from './client.ts';
import { main } from './command-line.ts';

// On Linux this overwrites the arguments, so that the password of -k does not stay visible in `ps`.
process.title = 'ss-local';

// Whoever reads `--help | head` may go away early; that is no fault.
process.stdout.on('error', () => {});

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const surroundings = { stdout: process.stdout, stderr: process.stderr, events: process };

process.exitCode = await main(process.argv.slice(2), process.env, surroundings, {
  version,
  start: startClient,
  self: [process.execPath, ...process.argv.slice(1, 2)],
});
// Output that is still on its way may go out; whatever else is left open does not keep the process.
setTimeout(() => process.exit(), 1000).unref();
