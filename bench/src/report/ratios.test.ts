import { describe, expect, it } from 'vitest';
import { CONNECTIONS_PER_SECOND } from '../measures/connections.ts';
import { IDLE_P50 } from '../measures/latency.ts';
import type { MeasureResult } from '../measures/measure.ts';
import { udpKey } from '../measures/udp.ts';
import { compare, ratioTables } from './ratios.ts';

const METHOD = '2022-blake3-aes-256-gcm';

function result(
  measure: string,
  key: string,
  values: Record<string, number[]>,
  method: string = METHOD,
): MeasureResult {
  const subjects = Object.entries(values).map(([name, numbers]) => ({
    method,
    name,
    samples: numbers.map((value, index) => ({ round: index + 1, position: 1, values: { [key]: value } })),
  }));
  return { name: measure, title: measure, about: '', subjects };
}

describe('compare', () => {
  it('takes the better of several: the larger where more is better', () => {
    const results = [
      result('connections', CONNECTIONS_PER_SECOND, {
        'podsocks (native)': [10, 20, 30],
        'shadowsocks-rust': [20, 20, 20],
        'sing-box': [5, 5, 5],
      }),
    ];
    expect(compare(results)).toMatchObject([
      {
        what: 'connections/s',
        best: 'shadowsocks-rust',
        ours: 20,
        theirs: 20,
        ratio: { median: 1, least: 0.5, most: 1.5 },
      },
    ]);
  });

  it('and the smaller where less is', () => {
    const results = [
      result('latency', IDLE_P50, { 'podsocks (native)': [2], 'shadowsocks-rust': [4], 'sing-box': [1] }),
    ];
    expect(compare(results)).toMatchObject([{ best: 'sing-box', better: 'less', ratio: { median: 2 } }]);
  });

  it('makes do with those that were measured', () => {
    const results = [
      result('latency', IDLE_P50, { 'podsocks (native)': [2], 'shadowsocks-rust': [4], 'sing-box': [] }),
    ];
    expect(compare(results)).toMatchObject([{ best: 'shadowsocks-rust', ratio: { median: 0.5 } }]);
  });

  it('holds datagrams by aes-256-gcm against libev and against the better of the others', () => {
    const key = udpKey(64, 'sum s/M');
    const values = {
      'podsocks (native)': [6],
      'shadowsocks-libev': [2],
      'shadowsocks-rust': [3],
      'sing-box': [4],
    };
    expect(compare([result('udp', key, values, 'aes-256-gcm')])).toMatchObject([
      { best: 'shadowsocks-libev', what: 'UDP CPU s per million packets, 64 bytes', ratio: { median: 3 } },
      { best: 'shadowsocks-rust', what: 'UDP CPU s per million packets, 64 bytes', ratio: { median: 2 } },
    ]);
  });

  it('says nothing where there is nobody to compare with', () => {
    expect(compare([])).toEqual([]);
    expect(compare([result('latency', IDLE_P50, { 'podsocks (native)': [2] })])).toEqual([]);
  });
});

it('ratioTables has one for each rivalry', () => {
  const results = [result('latency', IDLE_P50, { 'podsocks (native)': [2], 'sing-box': [4] })];
  const [table, ...others] = ratioTables(compare(results));
  expect(others).toEqual([]);
  expect(table!.title).toContain(METHOD);
  expect(table!.rows).toEqual([['latency p50 ms, idle', 'less', 'sing-box', '2.00', '4.00', '0.50']]);
});
