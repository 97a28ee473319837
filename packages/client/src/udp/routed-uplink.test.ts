import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { expect, it } from 'vitest';
import type { Decision } from '../routing/router.ts';
import { routedUplinks } from './routed-uplink.ts';
import type { OpenUplink, UplinkOptions } from './uplink.ts';

const CLUSTER = targetOf('web.default', 80);
const REWRITTEN = targetOf('web.default.svc.cluster.local', 80);
const PUBLIC = targetOf('192.0.2.1', 53);
const FORBIDDEN = targetOf('192.0.2.2', 25);

/** An association whose ways are those of the targets above; `story` is what became of it. */
function route() {
  const story: string[] = [];
  const dropped: string[] = [];
  const options: UplinkOptions[] = [];
  const way =
    (name: string): OpenUplink =>
    given => {
      story.push(`open ${name}`);
      options.push(given);
      return {
        send: ({ host }, data, at, length) =>
          void story.push(`${name} ${host} ${Buffer.from(data.subarray(at, at + length))}`),
        close: () => void story.push(`close ${name}`),
      };
    };
  const decisions = new Map<Target, Pick<Decision, 'way' | 'target'>>([
    [CLUSTER, { way: 'tunnel', target: REWRITTEN }],
    [PUBLIC, { way: 'direct', target: PUBLIC }],
    [FORBIDDEN, { way: 'reject', target: FORBIDDEN }],
  ]);
  const decide = (target: Target) => ({ because: 'the test', ...decisions.get(target)! }) as Decision;
  const given: UplinkOptions = { receive() {}, dropped: reason => void dropped.push(reason), failed() {} };
  const uplink = routedUplinks({ decide, tunnel: way('tunnel'), direct: way('direct') })(given);
  const send = (target: Target, text: string) => uplink.send(target, Buffer.from(`..${text}..`), 2, text.length);
  return { uplink, send, story, dropped, decisions, given, options };
}

it('sends each datagram its way, and opens a way with the first that goes it', () => {
  const { send, story, uplink, given, options, dropped } = route();
  expect(story).toEqual([]);
  send(PUBLIC, '1');
  send(CLUSTER, '2');
  send(PUBLIC, '3');
  send(CLUSTER, '4');
  uplink.close();
  expect(story).toEqual([
    'open direct',
    'direct 192.0.2.1 1',
    'open tunnel',
    'tunnel web.default.svc.cluster.local 2',
    'direct 192.0.2.1 3',
    'tunnel web.default.svc.cluster.local 4',
    'close tunnel',
    'close direct',
  ]);
  expect(options).toEqual([given, given]);
  expect(dropped).toEqual([]);
});

it('drops what is rejected, and opens nothing for it', () => {
  const { send, story, dropped, uplink } = route();
  send(FORBIDDEN, '1');
  uplink.close();
  expect(dropped).toEqual(['denied']);
  expect(story).toEqual([]);
});

it('decides anew for each datagram', () => {
  const { send, story, decisions } = route();
  send(PUBLIC, '1');
  decisions.set(PUBLIC, { way: 'tunnel', target: PUBLIC });
  send(PUBLIC, '2');
  expect(story).toEqual(['open direct', 'direct 192.0.2.1 1', 'open tunnel', 'tunnel 192.0.2.1 2']);
});
