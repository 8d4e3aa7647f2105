import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TrainingClock } from '../../train/loop/training-clock.ts';

let now = 0;
beforeEach(() => {
  now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

it('without a limit the time is never up, and validations always fit', () => {
  const clock = new TrainingClock(undefined);
  clock.expectValidation(1e6);
  now = 1e12;
  expect([clock.isUp, clock.validates, clock.validationDeadline]).toEqual([false, true, undefined]);
});

it('starts no step that would not end in time for the validation and for saving', () => {
  const clock = new TrainingClock(100_000);
  clock.expectValidation(10);
  clock.saveSeconds = 2;
  for (const ms of [0, 2000, 0, 2000]) clock.tookStep(ms, 100);
  // Two steps of a second each, 1.3 validations, 2.5 saves, and a second and a half for what is not measured.
  const needed = 2 * 1000 + 13_000 + 5000 + 1500;
  now = 100_000 - needed;
  expect(clock.isUp).toBe(false);
  now++;
  expect(clock.isUp).toBe(true);
});

it('leaves validations out that take more than three fifths of the time, and gives it to the steps', () => {
  const clock = new TrainingClock(100_000);
  clock.expectValidation(60);
  expect(clock.validates).toBe(true);
  clock.expectValidation(61);
  expect(clock.validates).toBe(false);
  now = 98_000;
  expect(clock.isUp).toBe(false);
  clock.expectValidation(0.7); // over before it could be stopped
  expect(clock.validates).toBe(true);
});
