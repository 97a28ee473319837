// Gives a program that does not speak SOCKS a UDP port on 127.0.0.1 which leads to one target through a SOCKS5 proxy:
//   node datagram-forward.mjs PORT socks5://[USER:PASSWORD@]HOST:PORT TARGET TARGET_PORT
// Each datagram's source address has an association of its own (RFC 1928 section 7), which ends with this program.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { targetOf } from '@podsocks/shared/wire/address';
import { DATAGRAM_HEADER_MAX_BYTES, decodeDatagram, encodeDatagramHeader } from '@podsocks/shared/wire/socks5-datagram';

const [port, url, host, hostPort] = process.argv.slice(2);
const proxy = new URL(url);
const header = Buffer.alloc(DATAGRAM_HEADER_MAX_BYTES);
const prefix = header.subarray(0, encodeDatagramHeader(header, 0, targetOf(host, Number(hostPort))));

const front = createSocket('udp4');
const associations = new Map();
front.on('message', async (payload, { address, port: source }) => {
  if (!associations.has(source))
    associations.set(
      source,
      associate(answer => front.send(answer, source, address)),
    );
  (await associations.get(source))(payload);
});
front.bind(Number(port), '127.0.0.1');

/** @returns {Promise<(payload: Buffer) => void>} what sends. */
async function associate(onAnswer) {
  const control = connect(Number(proxy.port), proxy.hostname);
  let said = Buffer.alloc(0);
  const answer = async length => {
    while (said.length < length) said = Buffer.concat([said, (await once(control, 'data'))[0]]);
    const taken = said.subarray(0, length);
    said = said.subarray(length);
    return taken;
  };

  const user = proxy.username !== '';
  control.write(Buffer.from([5, 1, user ? 2 : 0]));
  const [, method] = await answer(2);
  if (method !== (user ? 2 : 0)) throw new Error(`SOCKS5: authentication method ${method}`);
  if (user) {
    const [name, password] = [proxy.username, proxy.password].map(text => Buffer.from(decodeURIComponent(text)));
    control.write(Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([password.length]), password]));
    const [, status] = await answer(2);
    if (status !== 0) throw new Error('SOCKS5: wrong user name or password');
  }
  control.write(Buffer.from([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
  const reply = await answer(10);
  if (reply[1] !== 0) throw new Error(`SOCKS5: reply ${reply[1]} to UDP ASSOCIATE`);
  if (reply[3] !== 1) throw new Error(`SOCKS5: the relay's address is of type ${reply[3]}`);
  const [relay, relayPort] = [reply.subarray(4, 8).join('.'), reply.readUInt16BE(8)];
  const socket = createSocket('udp4');
  socket.on('message', message => {
    onAnswer(message.subarray(decodeDatagram(message, message.length).payloadAt));
  });
  return payload => socket.send([prefix, payload], relayPort, relay);
}
