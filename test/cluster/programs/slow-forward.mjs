// A long way to a TCP port of 127.0.0.1, for kernels without netem:
//   node slow-forward.mjs PORT TO_PORT MILLISECONDS
// Whatever is said takes that long, in each direction.
import { connect, createServer } from 'node:net';

const [port, toPort, delay] = process.argv.slice(2).map(Number);

createServer({ allowHalfOpen: true }, near => {
  const far = connect({ host: '127.0.0.1', port: toPort, allowHalfOpen: true });
  for (const [from, to] of [
    [near, far],
    [far, near],
  ]) {
    from.on('data', bytes => setTimeout(() => to.write(bytes), delay));
    from.on('end', () => setTimeout(() => to.end(), delay));
    from.on('error', () => to.destroy());
    from.on('close', hadError => hadError && to.destroy());
  }
}).listen({ port, backlog: 512 });
