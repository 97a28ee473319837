import { describe, expect, it } from 'vitest';
import { podDomain } from './info.ts';

describe('the domain of the cluster', () => {
  it.each([
    [['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'], 'cluster.local', 'default'],
    [['corp.example', 'a.svc.b.c', 'svc.b.c'], 'b.c', 'a'],
    [['svc.cluster.local', 'cluster.local'], null, null],
    [['a.b.svc.cluster.local'], null, null],
    [['example.com'], null, null],
    [[], null, null],
  ])('of %j is %s, of namespace %s', (search, domain, namespace) => {
    expect(podDomain(search)).toEqual({ domain, namespace });
  });
});
