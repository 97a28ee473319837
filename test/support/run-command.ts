import { execFile } from 'node:child_process';

const LIMIT_MS = 60_000;

/** Runs a program to its end, bounded, without the proxy settings of the environment, and returns its stdout. */
export function runCommand(command: string, args: readonly string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = {
      env: withoutProxySettings(process.env),
      encoding: 'buffer' as const,
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 64 * 1024 * 1024,
    };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error) {
        const end = error.killed
          ? `had not ended after ${LIMIT_MS / 1000} s`
          : `ended with ${error.code ?? error.signal}`;
        reject(new Error(`${command} ${args.join(' ')}\n${end} and wrote:\n${stderr}`));
      } else {
        resolve(stdout);
      }
    });
  });
}

function withoutProxySettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(\w+_proxy|JAVA_TOOL_OPTIONS)$/i.test(name)));
}
