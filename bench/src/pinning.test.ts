import { describe, expect, it } from 'vitest';
import { parseCpuList, planPinning } from './pinning.ts';

const apart = (cpu: number) => [cpu];
/** Neighbours share a core: 0 and 1, 2 and 3, … */
const paired = (cpu: number) => [cpu & ~1, cpu | 1];

describe('planPinning', () => {
  it('pins nothing on one processor', () => {
    expect(planPinning([0], apart)).toMatchObject({ server: undefined, client: undefined, load: undefined });
  });

  it('gives the ends one each of two or three and leaves the load free', () => {
    expect(planPinning([0, 1], apart)).toMatchObject({ server: '0', client: '1', load: undefined });
    expect(planPinning([4, 6, 9], apart)).toMatchObject({ server: '4', client: '6', load: undefined });
  });

  it('gives the load the others of four', () => {
    expect(planPinning([0, 1, 2, 3], apart)).toMatchObject({ server: '0', client: '1', load: '2,3' });
  });

  it('keeps the ends on different cores, and the load off both where enough is left', () => {
    expect(planPinning([0, 1, 2, 3, 4, 5], paired)).toMatchObject({ server: '0', client: '2', load: '4,5' });
    expect(planPinning([0, 1, 2, 3], paired)).toMatchObject({ server: '0', client: '2', load: '1,3' });
    expect(planPinning([0, 1], paired)).toMatchObject({ server: '0', client: '1' });
  });

  it('says what it does', () => {
    expect(planPinning([0, 1], apart).words).toMatch(
      /^each server pinned to CPU 0, each client to CPU 1, .*; the load generator is on all 2$/,
    );
  });
});

it.each([
  ['0', [0]],
  ['0-3', [0, 1, 2, 3]],
  ['1,4-6,9', [1, 4, 5, 6, 9]],
])('parseCpuList(%j)', (list, expected) => {
  expect(parseCpuList(list)).toEqual(expected);
});
