import { expect, it } from 'vitest';
import { CONTESTANTS, labelOf, takingPart } from './contestants.ts';

it('everybody has a label of its own', () => {
  expect(new Set(CONTESTANTS.map(labelOf)).size).toBe(CONTESTANTS.length);
});

it('takingPart keeps those of one measure out of the others', () => {
  const labels = (measure: string) => takingPart(CONTESTANTS, measure).map(labelOf);
  expect(labels('latency')).toContain('aes-256-gcm: shadowsocks-libev');
  expect(labels('latency')).not.toContain('aes-256-gcm: shadowsocks-rust');
  expect(labels('latency')).not.toContain('aes-256-gcm: podsocks → libev');
  expect(labels('bulk')).toContain('aes-256-gcm: podsocks → libev');
  expect(labels('bulk')).not.toContain('aes-256-gcm: shadowsocks-rust');
  expect(labels('udp')).toContain('aes-256-gcm: shadowsocks-rust');
  expect(labels('udp')).not.toContain('aes-256-gcm: podsocks → libev');
});
