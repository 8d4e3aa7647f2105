import { expect, it } from 'vitest';
import { Traffic } from '../../server/serving/traffic.ts';

/** A clock that is set by hand, at the start of a second. */
function started() {
  const clock = { now: 1_700_000_000_000 };
  return { clock, traffic: new Traffic(() => clock.now) };
}

it('gives each whole second its requests, failures, events and percentiles', () => {
  const { clock, traffic } = started();
  const start = clock.now;
  for (let ms = 1; ms <= 100; ms++) traffic.request(ms > 98 ? 503 : 200, ms);
  traffic.events(7);
  clock.now += 2500;
  traffic.request(404, 5);
  const [first, second, ...more] = traffic.secondsAfter(start - 1000);
  expect(more).toEqual([]); // the second that goes on is not whole
  expect(first).toMatchObject({ time: start, requests: 100, failed: 2, events: 7 });
  expect(first.latency?.p50).toBeCloseTo(50, -0.5);
  expect(first.latency?.p90).toBeCloseTo(90, -0.5);
  expect(first.latency?.p99).toBeCloseTo(99, -0.5);
  expect(second).toEqual({ time: start + 1000, requests: 0, failed: 0, events: 0, latency: null });
  expect(traffic.secondsAfter(start).map(({ time }) => time)).toEqual([start + 1000]);
  expect(traffic.secondsAfter(start + 1000)).toEqual([]);
  expect(traffic.recent()).toMatchObject({ requests: 101, failed: 2, events: 7 });
  expect([...traffic.byStatus]).toEqual([
    [200, 98],
    [503, 2],
    [404, 1],
  ]);
});

it('forgets what is older than a minute in the numbers of now, and than five minutes at all; totals stay', () => {
  const { clock, traffic } = started();
  const start = clock.now;
  traffic.request(200, 40);
  clock.now += 61_000;
  traffic.request(200, 3);
  expect(traffic.recent()).toMatchObject({ requests: 1 });
  expect(traffic.recent().latency?.p99).toBeCloseTo(3, 1);
  clock.now += 1000;
  // A second keeps its percentiles when its histogram is another one's.
  expect(traffic.secondsAfter(start - 1000)[0].latency?.p50).toBeCloseTo(40, 0);
  clock.now += 400_000;
  traffic.request(200, 3);
  const seconds = traffic.secondsAfter(0);
  expect(seconds).toHaveLength(300);
  expect(seconds.every(({ requests }) => requests === 0)).toBe(true);
  expect(traffic.byStatus.get(200)).toBe(3);
});

it('takes what is longer than it can tell, and a clock that is set back', () => {
  const { clock, traffic } = started();
  traffic.request(200, 1e9);
  clock.now -= 5000;
  traffic.request(200, 0);
  clock.now += 6000;
  const [only] = traffic.secondsAfter(clock.now - 2000).slice(-1);
  expect(only).toMatchObject({ requests: 2 });
  expect(only.latency?.p99).toBeGreaterThanOrEqual(590_000);
});
