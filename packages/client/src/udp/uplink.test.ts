import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import { Waiting } from './uplink.ts';

const HERE = targetOf('192.0.2.1', 1);
const THERE = targetOf('there.example', 2);

function released(waiting: Waiting): [string, string][] {
  const given: [string, string][] = [];
  waiting.release(({ host }, data) => given.push([host, String(Buffer.from(data))]));
  return given;
}

const add = (waiting: Waiting, text: string, target = HERE) => {
  const data = new Uint8Array(Buffer.from(text));
  return waiting.add(target, data, 0, data.length);
};

describe('what waits', () => {
  it('is given in its order, each with its target, and once', () => {
    const waiting = new Waiting();
    expect(released(waiting)).toEqual([]);
    add(waiting, 'first');
    add(waiting, 'second', THERE);
    add(waiting, '');
    add(waiting, 'fourth');
    const all = [
      ['192.0.2.1', 'first'],
      ['there.example', 'second'],
      ['192.0.2.1', ''],
      ['192.0.2.1', 'fourth'],
    ];
    expect(released(waiting)).toEqual(all);
    expect(released(waiting)).toEqual([]);
  });

  it('is a copy of the part that was meant', () => {
    const waiting = new Waiting();
    for (const data of [new Uint8Array(8), Buffer.alloc(8)]) {
      data.set(Buffer.from('..hello.'));
      expect(waiting.add(HERE, data, 2, 5)).toBe(true);
      data.fill(0xee);
    }
    expect(released(waiting).map(([, text]) => text)).toEqual(['hello', 'hello']);
  });

  it('is at most 128 KiB; what is smaller may still fit, and there is room again once it was given', () => {
    const waiting = new Waiting();
    const half = new Uint8Array(64 * 1024);
    const fill = () => [1, 2, 3].map(() => waiting.add(HERE, half, 0, half.length));
    expect(fill()).toEqual([true, true, false]);
    expect(waiting.add(HERE, half, 0, 1)).toBe(false);
    expect(waiting.add(HERE, half, 0, 0)).toBe(true);
    expect(released(waiting)).toHaveLength(3);
    expect(fill()).toEqual([true, true, false]);
  });

  it('is at most 1024 datagrams, however short', () => {
    const waiting = new Waiting();
    for (let count = 0; count < 1024; count++) expect(add(waiting, '')).toBe(true);
    expect(add(waiting, '')).toBe(false);
    expect(released(waiting)).toHaveLength(1024);
    expect(add(waiting, '')).toBe(true);
  });

  it('may grow again while it is given, without being given twice', () => {
    const waiting = new Waiting();
    add(waiting, 'first');
    add(waiting, 'second');
    const given: string[] = [];
    waiting.release((_, data) => {
      given.push(String(Buffer.from(data)));
      add(waiting, `again ${given.length}`);
    });
    expect(given).toEqual(['first', 'second']);
    expect(released(waiting).map(([, text]) => text)).toEqual(['again 1', 'again 2']);
  });
});
