// What runs in a pod: HTTP on all its addresses.
//   node http-pod.mjs NAME PORT FILE
// GET /file is the file, evenly over ?within=MILLISECONDS: however much is buffered on its way, it takes that long. PUT gets
// the SHA-256 of what was put. GET /from gets NAME and who asks for it. GET /page is a web page that says NAME, and has a script
// of ?with=URL/script do the same. Anything else gets NAME, after ?delay=MILLISECONDS.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [name, port, path] = process.argv.slice(2);
const file = readFileSync(path);

const PARTS = 100;

const server = createServer((request, response) => {
  // One connection for each request, so that each is balanced and dialled.
  response.setHeader('connection', 'close');
  const { pathname, searchParams } = new URL(request.url, 'http://pod');
  if (request.method === 'PUT') {
    const hash = createHash('sha256');
    request.on('data', bytes => hash.update(bytes));
    request.on('end', () => response.end(hash.digest('hex')));
  } else if (pathname === '/from') response.end(`${name} from ${request.socket.remoteAddress.replace('::ffff:', '')}`);
  else if (pathname === '/page') {
    response.setHeader('content-type', 'text/html');
    response.end(
      `<!doctype html><title>${name}</title><p>${name}<script src="${searchParams.get('with')}/script"></script>`,
    );
  } else if (pathname === '/script') {
    response.setHeader('content-type', 'text/javascript');
    response.end(`document.body.append(' and ${name}')`);
  } else if (pathname === '/file') sendEvenly(response, Number(searchParams.get('within') ?? 0));
  else setTimeout(() => response.end(name), Number(searchParams.get('delay') ?? 0));
});
server.listen({ host: '::', port: Number(port), backlog: 512 });

function sendEvenly(response, time) {
  let sent = 0;
  const part = Math.ceil(file.length / PARTS);
  const timer = setInterval(() => {
    response.write(file.subarray(sent, sent + part));
    sent += part;
    if (sent < file.length) return;
    clearInterval(timer);
    response.end();
  }, time / PARTS);
  response.on('close', () => clearInterval(timer));
}
