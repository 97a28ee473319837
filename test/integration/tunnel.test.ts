import { choicesFor } from '@podsocks/shared/crypto/backend-fixtures';
import { METHODS } from '@podsocks/shared/crypto/methods';
import { describe, expect, it } from 'vitest';
import { startPair } from '../support/in-process.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startBanner } from '../support/targets/banner.ts';
import { startDigest } from '../support/targets/digest.ts';
import { startEcho } from '../support/targets/echo.ts';

const echo = suiteResource(() => startEcho(['127.0.0.1', '::1']));
const digest = suiteResource(() => startDigest());
const banner = suiteResource(() => startBanner());

const CASES = METHODS.flatMap(method =>
  choicesFor(method).map(cryptoBackend => ({ method: method.name, cryptoBackend })),
);

describe.each(CASES)('$method with --crypto-backend $cryptoBackend', ({ method, cryptoBackend }) => {
  const bytes = method.startsWith('xchacha20') || cryptoBackend === 'noble' ? 300_000 : 3_000_000;

  it('carries bytes both ways at once, and the ends of both directions', async () => {
    const pair = await startPair({ method, server: { cryptoBackend }, client: { cryptoBackend } });
    const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
    const source = new PseudoRandom(method);
    const sent = source.take(bytes);
    const sending = connection.send(sent).then(() => connection.end());
    expect(sha256(await connection.takeAll())).toBe(source.digest());
    await sending;
  });
});

describe('a tunnel', () => {
  it('answers after the request has ended (half-close)', async () => {
    const pair = await startPair();
    const connection = await pair.connect({ host: '127.0.0.1', port: (await digest()).port });
    const request = new PseudoRandom('request').take(100_000);
    await connection.send(request);
    connection.end();
    expect(String(await connection.takeAll())).toBe(sha256(request));
  });

  it('lets the server speak first', async () => {
    const pair = await startPair();
    const connection = await pair.connect({ host: '127.0.0.1', port: (await banner()).port });
    expect((await connection.read())?.length).toBeGreaterThan(0);
  });

  it.each(['localhost', '::1'])('reaches %s', async host => {
    const pair = await startPair();
    const connection = await pair.connect({ host, port: (await echo()).port });
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
  });

  it('finds the address that answers when a name has several', async () => {
    const onlyIpv4 = await startEcho(['127.0.0.1']);
    const pair = await startPair({ server: { ipv6First: true } });
    const connection = await pair.connect({ host: 'localhost', port: onlyIpv4.port });
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
    await onlyIpv4.close();
  });

  it.each(['2022-blake3-aes-128-gcm', '2022-blake3-aes-256-gcm', 'aes-256-gcm', 'chacha20-ietf-poly1305'])(
    'knows its users under %s',
    async method => {
      for (const as of ['ada', 'ben']) {
        const pair = await startPair({ method, users: ['ada', 'ben'], as });
        const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
        await connection.send('hello');
        connection.end();
        expect(String(await connection.takeAll())).toBe('hello');
        await expect.poll(() => pair.log.filter(line => line.includes(`"user":"${as}"`))).not.toHaveLength(0);
      }
    },
  );

  it('carries 300 connections at once', async () => {
    const pair = await startPair();
    const { port } = await echo();
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const connection = await pair.connect({ host: '127.0.0.1', port });
        const request = `connection ${index}`;
        await connection.send(request);
        connection.end();
        return String(await connection.takeAll()) === request;
      }),
    );
    expect(answers.every(Boolean)).toBe(true);
  });

  it('never logs a key', async () => {
    const pair = await startPair({ method: 'aes-256-gcm' });
    const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
    await connection.send('payload-in-the-tunnel');
    connection.end();
    await connection.takeAll();
    expect(pair.log.join('')).not.toMatch(/payload-in-the-tunnel|"key"|password/);
  });
});
