import { identityHash } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { describe, expect, it } from 'vitest';
import { keyringOf } from './keyring.ts';

const key = (fill: number) => new Uint8Array(32).fill(fill);
const users = ['ada', 'ben', 'cid'].map((name, index) => ({ name, key: key(index + 1) }));
const names = (candidates: Iterable<{ name: string }>) => [...candidates].map(user => user.name);

describe('the keyring', () => {
  it('of SIP022 with users finds them by their identity, and knows nobody else', () => {
    const keyring = keyringOf(methodNamed('2022-blake3-aes-256-gcm'), key(9), users);
    expect(keyring.identityKey).toEqual(key(9));
    expect(keyring.byIdentity(identityHash(key(2)))?.name).toBe('ben');
    expect(keyring.byIdentity(identityHash(key(9)))).toBeUndefined();
    expect(keyring.byIdentity(new Uint8Array(16))).toBeUndefined();
  });

  it('of SIP022 without users has the one key', () => {
    const keyring = keyringOf(methodNamed('2022-blake3-aes-256-gcm'), key(9), []);
    expect(keyring.identityKey).toBeUndefined();
    expect([...keyring.candidates('')]).toEqual([{ name: 'default', key: key(9) }]);
  });

  it('of SIP004 begins with the user that the address had last', () => {
    const keyring = keyringOf(methodNamed('aes-256-gcm'), key(9), users);
    expect(names(keyring.candidates('192.0.2.1'))).toEqual(['default', 'ada', 'ben', 'cid']);
    keyring.matched('192.0.2.1', users[1]!);
    expect(names(keyring.candidates('192.0.2.1'))).toEqual(['ben', 'default', 'ada', 'cid']);
    expect(names(keyring.candidates('192.0.2.2'))).toEqual(['default', 'ada', 'ben', 'cid']);
  });

  it('remembers 4096 addresses, those that came last', () => {
    const keyring = keyringOf(methodNamed('aes-256-gcm'), undefined, users);
    for (let client = 0; client < 5000; client++) keyring.matched(`client ${client}`, users[2]!);
    expect(names(keyring.candidates('client 0'))[0]).toBe('ada');
    expect(names(keyring.candidates('client 903'))[0]).toBe('ada');
    expect(names(keyring.candidates('client 904'))[0]).toBe('cid');
    expect(names(keyring.candidates('client 4999'))[0]).toBe('cid');
  });
});
