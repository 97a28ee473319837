import { expect, it } from 'vitest';
import { DatagramWindow } from './datagram-window.ts';

it('numbers each slot by itself', () => {
  const window = new DatagramWindow(4, 2);
  expect([0, 1, 2, 3].map(slot => window.leave(slot))).toEqual([0, 1, 2, 3]);
  expect(window.out).toBe(4);
  expect(window.arrive(2)).toBe(2);
  expect(window.leave(2)).toBe(6);
  expect(window.arrive(6)).toBe(2);
  expect(window).toMatchObject({ out: 3, echoes: 2, lost: 0 });
});

it('counts an echo once, and none that it has not asked for', () => {
  const window = new DatagramWindow(4, 2);
  window.leave(1);
  expect(window.arrive(5)).toBeUndefined();
  expect(window.arrive(3)).toBeUndefined();
  expect(window.arrive(1)).toBe(1);
  expect(window.arrive(1)).toBeUndefined();
  window.leave(1);
  expect(window.arrive(1)).toBeUndefined();
  expect(window).toMatchObject({ out: 1, echoes: 1 });
});

it('gives up what has waited for too long, and then does not take it any more', () => {
  const window = new DatagramWindow(4, 2);
  window.leave(0);
  expect(window.tick()).toEqual([]);
  window.leave(3);
  expect(window.tick()).toEqual([0]);
  expect(window.leave(0)).toBe(4);
  expect(window.arrive(0)).toBeUndefined();
  expect(window.tick()).toEqual([3]);
  expect(window.arrive(4)).toBe(0);
  expect(window.tick()).toEqual([]);
  expect(window).toMatchObject({ out: 0, echoes: 1, lost: 2 });
});
