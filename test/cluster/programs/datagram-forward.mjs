// Gives a program that does not speak SOCKS a UDP port on 127.0.0.1 which leads to one target through a SOCKS5 proxy there:
//   node datagram-forward.mjs PORT SOCKS_PORT HOST HOST_PORT
// Each datagram's source address has an association of its own (RFC 1928 section 7), which ends with this program.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { targetOf } from '@podsocks/shared/wire/address';
import { DATAGRAM_HEADER_MAX_BYTES, decodeDatagram, encodeDatagramHeader } from '@podsocks/shared/wire/socks5-datagram';

const [port, socksPort, host, hostPort] = process.argv.slice(2);
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
  const control = connect(Number(socksPort), '127.0.0.1');
  control.write(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
  let reply = Buffer.alloc(0);
  while (reply.length < 12) reply = Buffer.concat([reply, (await once(control, 'data'))[0]]);
  if (reply[3] !== 0) throw new Error(`SOCKS5: reply ${reply[3]} to UDP ASSOCIATE`);
  const relayPort = reply.readUInt16BE(10);
  const socket = createSocket('udp4');
  socket.on('message', message => {
    onAnswer(message.subarray(decodeDatagram(message, message.length).payloadAt));
  });
  return payload => socket.send([prefix, payload], relayPort, '127.0.0.1');
}
