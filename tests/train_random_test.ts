/**
 * Random streams of training: Philox as published, values that depend on seed and
 * purpose alone, and distributions over many draws.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { philox } from "../src/samplers/philox.ts";
import { RandomStream } from "../src/train/data/random.ts";

Deno.test("train random: Philox gives Random123's known answers", () => {
  // kat_vectors of Random123, philox4x32 with 10 rounds.
  const known: [counter: number, key: number, answer: number[]][] = [
    [0, 0, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [0xffffffff, 0xffffffff, [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
  ];
  for (const [counter, key, answer] of known) {
    const words = new Uint32Array(4).fill(counter);
    philox(words, key, key);
    assertEquals([...words], answer);
  }
});

Deno.test("train random: the first values of a stream never change", () => {
  // Runs that are resumed after an update of this program depend on them.
  const stream = new RandomStream(42, "sample", 7);
  assertEquals(
    [stream.word(), stream.word(), stream.integer(1000), stream.integer(6)],
    [3551661991, 3663697860, 424, 2],
  );
});

Deno.test("train random: streams differ by seed, purpose and every number", () => {
  const first = (stream: RandomStream) => `${stream.word()} ${stream.word()}`;
  const streams = [
    new RandomStream(1, "a"),
    new RandomStream(2, "a"),
    new RandomStream(2 ** 32 + 1, "a"),
    new RandomStream(1, "b"),
    new RandomStream(1, "a", 0),
    new RandomStream(1, "a", 0, 0),
    new RandomStream(1, "a", 1),
    new RandomStream(1, "a", 2 ** 32),
    new RandomStream(1, "a", 1, 0),
    new RandomStream(1, "a", 0, 1),
    new RandomStream(1, ""),
  ];
  assertEquals(new Set(streams.map(first)).size, streams.length);
  assertEquals(
    first(new RandomStream(5, "x", 9)),
    first(new RandomStream(5, "x", 9)),
  );
});

Deno.test("train random: numbers it cannot tell apart are refused", () => {
  for (const number of [-1, 0.5, NaN, 2 ** 53]) {
    for (const numbers of [[number, 1], [1, number]]) {
      const error = assertThrows(
        () => new RandomStream(numbers[0], "x", numbers[1]),
        MasterWeaverError,
        String(number),
      );
      assertEquals(error.code, "bad-option");
    }
  }
  const stream = new RandomStream(1, "x");
  assertThrows(() => stream.integer(0), MasterWeaverError, "got 0");
  assertThrows(() => stream.choice([]), MasterWeaverError, "got 0");
});

Deno.test("train random: integers and permutations favour nothing", () => {
  const stream = new RandomStream(3, "counts");
  const draws = 60_000;
  const counts = new Array(6).fill(0);
  for (let i = 0; i < draws; i++) counts[stream.integer(6)]++;
  for (const count of counts) assertNear(count, draws / 6, draws);
  const orders = new Map<string, number>();
  for (let i = 0; i < draws; i++) {
    const order = stream.permutation(3).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assertEquals(orders.size, 6);
  for (const count of orders.values()) assertNear(count, draws / 6, draws);
  assertEquals([...stream.permutation(0)], []);
});

Deno.test("train random: uniform and normal values have their moments", () => {
  const stream = new RandomStream(4, "moments");
  const count = 200_000;
  const uniform = Array.from({ length: count }, () => stream.uniform());
  assert(uniform.every((value) => value >= 0 && value < 1));
  const normal = stream.normals(count);
  const moment = (values: ArrayLike<number>, power: number) =>
    Array.from(values).reduce((sum, x) => sum + x ** power, 0) / count;
  const error = 5 / Math.sqrt(count);
  for (const power of [1, 2, 3, 4]) {
    assert(Math.abs(moment(uniform, power) - 1 / (power + 1)) < error);
  }
  assert(Math.abs(moment(normal, 1)) < error);
  assert(Math.abs(moment(normal, 2) - 1) < 2 * error);
  assert(Math.abs(moment(normal, 3)) < 4 * error);
  assert(Math.abs(moment(normal, 4) - 3) < 10 * error);
});

/** A count is within five standard deviations of what is expected of it. */
function assertNear(count: number, expected: number, draws: number): void {
  const deviation = Math.sqrt(expected * (1 - expected / draws));
  assert(
    Math.abs(count - expected) < 5 * deviation,
    `${count}, expected ${expected} ± ${5 * deviation}`,
  );
}
