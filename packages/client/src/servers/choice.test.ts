import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Choice, preference } from './choice.ts';
import { LinkHealth } from './link-health.ts';

interface Server {
  readonly name: string;
  readonly health: LinkHealth;
}

/** Servers whose probes end as the test says, one a second; a number is a round trip in milliseconds, of the first two the least. */
class Story {
  readonly servers: readonly Server[];
  readonly choice: Choice<Server>;
  readonly switches: string[] = [];
  now = 0;

  constructor(count: number) {
    this.servers = Array.from({ length: count }, (_, i) => ({ name: 'abcdefgh'[i]!, health: new LinkHealth() }));
    this.choice = new Choice(this.servers[0]!);
  }

  get active(): string {
    return this.choice.active.name;
  }

  /** `a20 b50 a-`: a answers after 20 ms, b after 50, then a does not answer; `+60` lets a minute pass. */
  tell(script: string): string {
    for (const event of script.split(' ')) {
      if (event.startsWith('+')) {
        this.now += Number(event) * 1000;
        continue;
      }
      const server = this.servers.find(({ name }) => name === event[0])!;
      if (event.endsWith('-')) server.health.bad('no answer', this.now);
      else {
        if (server.health.state === 'unknown') server.health.good(999); // a first impression
        server.health.good(Number(event.slice(1)));
      }
      this.decide(server);
      this.now += 1000;
    }
    return this.active;
  }

  decide(probed?: Server): void {
    const change = this.choice.decide(this.servers, this.now, probed);
    if (change !== undefined) this.switches.push(`${change.to.name} ${change.because}`);
  }
}

const told = (script: string, count = 2) => {
  const story = new Story(count);
  story.tell(script);
  return story.switches;
};

describe('the choice', () => {
  it.each<[string, string, readonly string[], number?]>([
    ['is the first of the list', 'a50 b50', []],
    ['is the first of the list while others are not much faster', 'a50 b40', []],
    ['is the fastest once all have been heard', 'a100 b80 c20', ['c faster'], 3],
    ['waits for all of them', 'a100 b20', [], 3],
    ['does not wait when the first fails', 'a-', ['b unhealthy']],
    ['is a healthy one before one that is unknown', 'c100 a-', ['c unhealthy'], 3],
    ['stays where nothing is better', 'a- b-', ['b unhealthy']],
    ['leaves at once for the first that is back', 'a- b- a50', ['b unhealthy', 'a unhealthy']],
    ['is left at once when it fails', 'a50 b60 +60 a-', ['b unhealthy']],
    ['of several takes the fastest then', 'a50 b90 c20 d21 +60 c-', ['c faster', 'd unhealthy'], 4],
    ['but the first of those that are about as fast', 'a50 b31 c30 +60 a-', ['b unhealthy'], 3],
    ['moves to a faster one after three probes in a row', 'a50 b50 +60 b20 b20', []],
    ['counts those', 'a60 b60 +60 b1 b1 b1 b1 b1 b1', ['b faster']],
    ['not those of others', 'a60 b60 c60 +60 b1 b1 b1 c60 c60 c60 c60', [], 3],
    ['not to one that is faster now and then', 'a60 b60 +60 b1 b1 b200 b1 b1 b300 b1 b1', []],
    ['not for 20 ms', 'a21 b21 +60 b1 b1 b1 b1 b1 b1 b1 b1', []],
    ['not for less than 30 %', 'a1000 b1000 +60 b750 b750 b750 b750 b750 b750', []],
    ['returns after two good probes', 'a50 b50 +60 a- a50 +60 a50 a50 a50', ['b unhealthy', 'a preferred']],
    ['not after one', 'a50 b50 +60 a- +60 a50', ['b unhealthy']],
    ['be it faster by now', 'a50 b50 +60 a- a10 +60 a10 a10', ['b unhealthy', 'a preferred']],
    ['not to one that is slower than before', 'a50 b50 +60 a- +60 a90 a90 a90 a90 a90', ['b unhealthy']],
    ['not before half a minute is over', 'a50 b50 +60 a- a50 a50 a50 a50', ['b unhealthy']],
    [
      'trusts one that falls ever less',
      'a50 b50 +60 a- +40 a50 a50 a50 a- +40 a50 a50 a50 a50',
      ['b unhealthy', 'a preferred', 'b unhealthy'],
    ],
    [
      'until it has stood for long enough',
      'a50 b50 +60 a- +40 a50 a50 a50 a- +40 a50 a50 a50 a50 a50 a50',
      ['b unhealthy', 'a preferred', 'b unhealthy', 'a preferred'],
    ],
  ])('%s', (_, script, switches, count) => {
    expect(told(script, count)).toEqual(switches);
  });

  it('does not go by a first impression', () => {
    const story = new Story(2);
    for (const [server, roundTrip] of [
      [0, 80],
      [1, 30],
      [1, 4],
      [0, 5],
    ] as const) {
      story.servers[server]!.health.good(roundTrip);
      story.decide(story.servers[server]);
    }
    expect(story.switches).toEqual([]);
  });

  it('does not go to a server that has just failed a connection', () => {
    const story = new Story(3);
    story.tell('a50 b50 c60');
    story.servers[1]!.health.isSuspect = true;
    expect(story.tell('a-')).toBe('c');
  });

  it('does not go round where each is a little slower than the next', () => {
    const story = new Story(3);
    for (let i = 0; i < 100; i++) story.tell('a45 b31 c20 +10');
    expect(story.switches).toEqual(['b faster']);
  });

  it('begins anew after all was forgotten, from the server in use', () => {
    const story = new Story(2);
    story.tell('a100 b20');
    for (const { health } of story.servers) health.forget();
    story.choice.unsettle();
    story.decide();
    expect(story.active).toBe('b');
    expect(story.tell('b200 a20')).toBe('a');
  });

  it.each<[string, string, string]>([
    ['the server in use, then the fastest', 'b80 c20 a50', 'a c b'],
    ['what is healthy before what is unknown, be it in use', 'c50 b70', 'c b a'],
    ['what is unknown before what has failed', 'b-', 'a c b'],
    ['what has just failed a connection before what is known to be down', 'c- b50 a50 b?', 'a b c'],
  ])('of connections to try: %s', (_, script, expected) => {
    const story = new Story(3);
    for (const step of script.split(' ')) {
      if (step.endsWith('?')) story.servers.find(({ name }) => name === step[0])!.health.isSuspect = true;
      else if (step.endsWith('-')) story.servers.find(({ name }) => name === step[0])!.health.bad('', 0);
      else story.servers.find(({ name }) => name === step[0])!.health.good(Number(step.slice(1)));
    }
    const order = preference(story.servers, story.choice.active);
    expect(order.map(({ name }) => name).join(' ')).toBe(expected);
  });

  it('leaves a server that is not in the list any more', () => {
    const story = new Story(3);
    story.tell('a50 b50 c20');
    const change = story.choice.decide(story.servers.slice(0, 2), story.now);
    expect(change).toMatchObject({ because: 'gone', to: { name: 'a' } });
  });
});

const event = (names: readonly string[]) =>
  fc.tuple(fc.constantFrom(...names), fc.oneof(fc.constant('-'), fc.integer({ min: 1, max: 500 }).map(String)));

describe('whatever happens', () => {
  it('a server that is unhealthy is not in use while another is healthy', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event(['a', 'b', 'c', 'd']), fc.nat(60))), steps => {
        const story = new Story(4);
        for (const [[name, outcome], seconds] of steps) {
          story.tell(`+${seconds} ${name}${outcome}`);
          const isHealthy = story.choice.active.health.state === 'healthy';
          const others = story.servers.filter(({ health }) => health.state === 'healthy');
          expect(isHealthy || others.length === 0 || story.choice.active.health.state === 'unknown').toBe(true);
          const [first] = preference(story.servers, story.choice.active);
          expect(first!.health.state === 'unhealthy' && others.length > 0).toBe(false);
        }
      }),
    );
  });

  it('round trips that wobble by 15 % bring about few switches', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 2, max: 400 }), { minLength: 2, maxLength: 4 }),
        fc.infiniteStream(fc.integer({ min: -15, max: 15 })),
        (bases, noise) => {
          const story = new Story(bases.length);
          const round = () =>
            bases.forEach((base, i) => {
              const wobble = Number(noise.next().value) / 100;
              story.tell(`${'abcd'[i]}${base * (1 + wobble)} +10`);
            });
          for (let i = 0; i < 30; i++) round();
          const settled = story.switches.length;
          for (let i = 0; i < 200; i++) round();
          expect(settled).toBeLessThanOrEqual(4);
          expect(story.switches.length - settled).toBeLessThanOrEqual(4);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('a server that comes and goes is left ever longer', () => {
    const story = new Story(2);
    story.tell('a50 b50');
    // Each minute it fails once, and all other probes are good.
    for (let minute = 0; minute < 60; minute++) story.tell(`a- ${'a50 b50 +4 '.repeat(9)}a50`);
    const returns = story.switches.filter(change => change === 'a preferred').length;
    expect(returns).toBeLessThanOrEqual(15);
    expect(story.switches.length).toBeLessThanOrEqual(30);
  });

  it('there is half a minute between two switches that nothing forces', () => {
    fc.assert(
      fc.property(fc.array(event(['a', 'b', 'c']), { maxLength: 200 }), steps => {
        const story = new Story(3);
        story.tell('a100 b100 c100');
        let last = Number.NEGATIVE_INFINITY;
        for (const [name, outcome] of steps) {
          const before = story.switches.length;
          const at = story.now;
          story.tell(name + outcome);
          if (story.switches.length === before) continue;
          if (!story.switches.at(-1)!.endsWith('unhealthy')) expect(at - last).toBeGreaterThanOrEqual(30_000);
          last = at;
        }
      }),
    );
  });
});
