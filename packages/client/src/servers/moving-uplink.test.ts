import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import type { UplinkOptions } from '../udp/uplink.ts';
import { movingUplinks, type UplinksOf } from './moving-uplink.ts';
import type { ServerLink } from './server-link.ts';
import type { ServerPool } from './server-pool.ts';

const TARGET: Target = { type: 'ipv4', host: '10.0.0.1', port: 53 };

function pool() {
  const listeners = new Set<() => void>();
  const shaken = new Set<() => void>();
  const suspected: string[] = [];
  const link = (name: string) => ({ name, suspect: (reason: string) => void suspected.push(`${name}: ${reason}`) });
  const state = { active: link('a'), used: 0 };
  const fake = {
    get active() {
      return state.active;
    },
    used: () => void state.used++,
    onActiveChange(listener: () => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onUpheaval(listener: () => void) {
      shaken.add(listener);
      return () => shaken.delete(listener);
    },
  } as unknown as ServerPool;
  const moveTo = (name: string) => {
    state.active = link(name);
    for (const listener of listeners) listener();
  };
  const shake = () => {
    for (const listener of shaken) listener();
  };
  return { fake, state, listeners, shaken, suspected, moveTo, shake };
}

function follow(isBound = true) {
  const story: string[] = [];
  const failed: Error[] = [];
  const given: UplinkOptions[] = [];
  const parts = pool();
  const uplinksOf: UplinksOf = link => options => {
    const { name } = link as unknown as { name: string } & ServerLink;
    story.push(`open ${name}`);
    given.push(options);
    return {
      send: (_, data, at, length) => void story.push(`${name} ${Buffer.from(data.subarray(at, at + length))}`),
      close: () => void story.push(`close ${name}`),
    };
  };
  const open = movingUplinks(parts.fake, uplinksOf, { isBound });
  const uplink = open({ receive() {}, dropped() {}, failed: error => void failed.push(error) });
  const send = (text: string) => uplink.send(TARGET, Buffer.from(`..${text}`), 2, text.length);
  return { ...parts, uplink, send, story, failed, given };
}

describe('an association', () => {
  it('goes on at the server in use', () => {
    const { send, story, moveTo, uplink, state } = follow();
    send('1');
    moveTo('b');
    moveTo('c');
    send('2');
    send('3');
    uplink.close();
    expect(story).toEqual(['open a', 'a 1', 'close a', 'open c', 'c 2', 'c 3', 'close c']);
    expect(state.used).toBe(3);
  });

  it.each([
    [true, ['open a', 'a 1', 'close a', 'open a', 'a 2']],
    [false, ['open a', 'a 1', 'a 2']],
  ])('is begun anew after this machine has slept or moved, if it is bound to that (%s)', (isBound, expected) => {
    const { send, story, shake } = follow(isBound);
    send('1');
    shake();
    send('2');
    expect(story).toEqual(expected);
  });

  it('that is over moves no more', () => {
    const { story, moveTo, uplink, listeners, shaken } = follow();
    uplink.close();
    moveTo('b');
    expect(story).toEqual(['open a', 'close a']);
    expect([listeners.size, shaken.size]).toEqual([0, 0]);
  });

  it('has the server suspected that it cannot reach', () => {
    const { given, suspected, failed, moveTo } = follow();
    moveTo('b');
    given[0]!.failed(new PodsocksError('ERR_DIAL', 'no ss-server listens for UDP there (-u)'));
    expect(suspected).toEqual(['a: no ss-server listens for UDP there (-u)']);
    expect(failed).toHaveLength(1);
  });
});
