// What Node.js programs do that know SOCKS: fetches by the proxy of ALL_PROXY, to which the name is given.
//   node fetch-by-all-proxy.mjs URL
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { SocksClient } from 'socks';

const url = new URL(process.argv[2]);
const { protocol, hostname, port } = new URL(process.env.ALL_PROXY);
if (protocol !== 'socks5h:') throw new Error(`ALL_PROXY is of another kind: ${protocol}`);

const destination = { host: url.hostname, port: Number(url.port || 80) };
const proxy = { host: hostname, port: Number(port), type: 5 };
const { socket } = await SocksClient.createConnection({ proxy, destination, command: 'connect' });
const response = await new Promise((resolve, reject) =>
  request(url, { createConnection: () => socket }, resolve)
    .on('error', reject)
    .end(),
);
process.stdout.write(await text(response));
