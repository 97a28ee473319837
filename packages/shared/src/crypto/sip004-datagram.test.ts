import { describe, expect, it } from 'vitest';
import { targetOf } from '../wire/address.ts';
import { choicesFor } from './backend-fixtures.ts';
import { CLIENT, endsOf, openAtClient, openAtServer, sealOne, servicesFor } from './datagram-fixtures.ts';
import { clientDatagrams } from './datagrams.ts';
import { methodNamed } from './methods.ts';
import { sip004Context } from './session-context.ts';

const CASE = { name: 'aes-256-gcm', method: methodNamed('aes-256-gcm'), choice: 'node' } as const;
const TARGET = targetOf('10.96.0.10', 53);
const PAYLOAD = Buffer.from('a question');

describe('SIP004 datagrams', () => {
  it('have one session for each address and port', () => {
    const { client, server } = endsOf(CASE);
    const at = (from: typeof CLIENT) => openAtServer(server, sealOne(client, TARGET, PAYLOAD), from).opened.commit();
    const session = at(CLIENT);
    expect(at(CLIENT)).toBe(session);
    expect(at({ ...CLIENT, port: CLIENT.port + 1 })).not.toBe(session);
    expect(at({ ...CLIENT, address: '192.0.2.2' })).not.toBe(session);
  });

  it('have one for each user behind an address', () => {
    const { server, begin } = endsOf(CASE, ['alice', 'bob']);
    const sessions = ['alice', 'bob'].map(user => {
      const client = begin(user);
      const session = openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.commit();
      expect(session.user.name).toBe(user);
      expect(openAtClient(client, sealOne(session, TARGET, PAYLOAD)).payload).toEqual(PAYLOAD);
      return session;
    });
    expect(sessions[0]).not.toBe(sessions[1]);
  });

  it.each(choicesFor(CASE.method))('go on in the other sessions of a user when one is closed, under %s', choice => {
    const { client, server } = endsOf({ ...CASE, choice });
    const at = (port: number) =>
      openAtServer(server, sealOne(client, TARGET, PAYLOAD), { ...CLIENT, port }).opened.commit();
    const [closed, other] = [at(1), at(2)];
    closed.close();
    expect(openAtClient(client, sealOne(other, TARGET, PAYLOAD)).payload).toEqual(PAYLOAD);
    expect(at(2)).toBe(other);
    expect(at(1)).not.toBe(closed);
  });

  it('tell the keyring who it was when they are committed', () => {
    const { server, client, keyring } = endsOf(CASE, ['alice', 'bob']);
    const { opened } = openAtServer(server, sealOne(client, TARGET, PAYLOAD));
    expect(keyring.matches).toEqual([]);
    opened.commit();
    expect(keyring.matches).toEqual([`${CLIENT.address} bob`]);
  });

  it.each([
    ['no address', '', 'ERR_TRUNCATED'],
    ['half an address', '010a0000', 'ERR_HEADER'],
    ['a bad address', '7f0a0000010035', 'ERR_ADDRESS'],
  ])('with %s are refused, and not remembered', (_, plainHex, code) => {
    const { server, client, serverServices, clientServices } = endsOf(CASE);
    const plain = Buffer.from(plainHex, 'hex');
    const salt = new Uint8Array(32).fill(3);
    const wire = new Uint8Array(32 + plain.length + 16);
    wire.set(salt);
    const key = Uint8Array.from({ length: 32 }, (__, index) => 'default'.charCodeAt(0) + index);
    sip004Context(serverServices, key, salt).seal(wire, 32, plain, 0, plain.length);
    expect(() => openAtServer(server, wire)).toThrow(expect.objectContaining({ code }));
    expect(() => openAtClient(client, wire)).toThrow(expect.objectContaining({ code }));
    expect(serverServices.salts + clientServices.salts).toBe(0);
  });

  it('need no clock', () => {
    const services = servicesFor(CASE.method, CASE.choice, {
      unixTime: () => Number.NaN,
      monotonicMs: () => Number.NaN,
    });
    const client = clientDatagrams(services).session({ key: new Uint8Array(32), identityKeys: [] });
    expect(sealOne(client, TARGET, PAYLOAD).length).toBe(32 + 7 + PAYLOAD.length + 16);
  });
});
