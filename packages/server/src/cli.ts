import { readFileSync } from 'node:fs';
import { main, type ServerProgram } from './command-line.ts';
import { startServer } from './server.ts';
import { startWorkers } from './workers/primary.ts';

// On Linux this overwrites the arguments, so that the password of -k does not stay visible in `ps`.
process.title = 'ss-server';

// Whoever reads `--help | head` may go away early; that is no fault.
process.stdout.on('error', () => {});

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const start: ServerProgram['start'] = (config, deps) =>
  config.workers > 1 ? startWorkers(config, deps) : startServer(config, deps);
// Workers inherit what is in the environment; what they need of it reaches them otherwise.
const env = { ...process.env };
delete process.env.SS_PASSWORD;
const surroundings = { stdout: process.stdout, stderr: process.stderr, events: process };

process.exitCode = await main(process.argv.slice(2), env, surroundings, { version, start });
// Output that is still on its way may go out; whatever else is left open does not keep the process.
setTimeout(() => process.exit(), 1000).unref();
