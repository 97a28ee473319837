import { a, cname, reply, soa } from '@podsocks/shared/dns/fake-dns-fixtures';
import type { Answer } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import { followChain, MAX_LINKS } from './answer-chain.ts';
import { type DnsAnswer, decodeAnswer, encodeQuery, MalformedMessage } from './message.ts';

const asked = { id: 1, name: 'web.default', type: 'A' };

const answered = (message: Buffer): DnsAnswer => {
  const answer = decodeAnswer(message, encodeQuery({ name: asked.name, type: 'A' }, asked.id, { edns: true }));
  if (typeof answer === 'string' || answer instanceof MalformedMessage) throw new Error(`is ${answer}`);
  return answer;
};

describe('aliases', () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
  const chainOf = (count: number, last: readonly Answer[] = []) =>
    answered(
      reply(asked, {
        answers: [cname('web.default', 'n0'), ...names(count - 1).map((name, i) => cname(name, `n${i + 1}`)), ...last],
      }),
    );

  it('are followed, in any order, to the end', () => {
    const answers = [a('c', '10.0.0.1', 9), cname('b', 'C', 4), a('x', '6.6.6.6'), cname('web.default', 'b', 8)];
    expect(followChain(answered(reply(asked, { answers })), 'web.default', 'A')).toMatchObject({
      kind: 'found',
      ttl: 4,
      records: [{ data: '10.0.0.1' }],
    });
  });

  it('may be 16, with those before', () => {
    expect(followChain(chainOf(MAX_LINKS, [a('n15', '10.0.0.1')]), 'web.default', 'A').kind).toBe('found');
    expect(followChain(chainOf(MAX_LINKS + 1, [a('n16', '10.0.0.1')]), 'web.default', 'A').kind).toBe('endless');
    expect(followChain(chainOf(2, [a('n1', '10.0.0.1')]), 'web.default', 'A', 15).kind).toBe('endless');
  });

  it('in a circle, and 64 KiB of them, have no end', () => {
    const circle = answered(reply(asked, { answers: [cname('web.default', 'b'), cname('b', 'web.default')] }));
    expect(followChain(circle, 'web.default', 'A').kind).toBe('endless');
    expect(followChain(chainOf(2500), 'web.default', 'A').kind).toBe('endless');
  });

  it('whose target is missing are to be asked for, unless the server says that there is nothing', () => {
    expect(followChain(chainOf(2), 'web.default', 'A')).toMatchObject({ kind: 'elsewhere', name: 'n1', links: 2 });
    const answers = [cname('web.default', 'b', 3)];
    const nothing = answered(reply(asked, { answers, authorities: [soa()] }));
    expect(followChain(nothing, 'web.default', 'A')).toEqual({ kind: 'no-data', ttl: 3 });
    const missing = answered(reply(asked, { answers, rcode: 3 }));
    expect(followChain(missing, 'web.default', 'A')).toEqual({ kind: 'not-found', ttl: undefined });
  });

  it('that were not asked for do not count', () => {
    const stranger = answered(reply(asked, { answers: [a('other', '6.6.6.6'), cname('other', 'x')] }));
    expect(followChain(stranger, 'web.default', 'A')).toEqual({ kind: 'no-data', ttl: undefined });
  });
});
