// ss-server in a process of its own, for tests of its descriptors and memory. It runs the build, for Node 20 cannot read
// TypeScript; `npm test` builds first. Messages from the parent: the configuration, then any number of questions.
import { readdirSync } from 'node:fs';
import { prepareServer } from '@podsocks/server/prepare-server';
import { createLogger } from '@podsocks/shared/runtime/log';

const log = createLogger({ level: 'error', format: 'json', name: 'child' });

process.once('message', async config => {
  const server = prepareServer(config, { log });
  await server.listen();
  const { addresses, datagramCounts } = server;
  process.on('message', ({ about }) => process.send(about === 'drops' ? datagramCounts.drops : usage()));
  process.send({ port: addresses[0].port });
});
process.once('disconnect', () => process.exit()); // the test has gone

function usage() {
  globalThis.gc();
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  // Where there is no such directory nothing is limited either; one of them is that of the listing itself.
  const descriptors = readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length - 1;
  return { rss, arrayBuffers, heapUsed, descriptors };
}
