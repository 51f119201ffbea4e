/**
 * A stand-in for `jsr:@std/assert` on Node's built-ins, for machines that reach
 * no JSR: the functions the tests use, with the same names and meaning.
 *
 * @module
 */
import nodeAssert from "node:assert";
import { isDeepStrictEqual } from "node:util";

/** What a failed assertion throws. */
export class AssertionError extends Error {
  /** Names itself. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function suffix(msg?: string): string {
  return msg ? `: ${msg}` : "";
}

/** Fails always. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Requires a truthy value. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg || "Expected a truthy value");
}

/** Requires deep equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  let difference = "Values are not equal";
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    difference = error instanceof Error ? error.message : difference;
  }
  throw new AssertionError(`${difference}${suffix(msg)}`);
}

/** Requires deep inequality. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) {
    throw new AssertionError(`Values are equal${suffix(msg)}`);
  }
}

/** Requires identity. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (!Object.is(actual, expected)) {
    throw new AssertionError(
      `Expected ${String(expected)}, got ${String(actual)}${suffix(msg)}`,
    );
  }
}

/** Requires two numbers to differ by no more than a tolerance. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance = Math.abs(expected) * 1e-7,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  if (Math.abs(actual - expected) <= tolerance) return;
  throw new AssertionError(
    `Expected ${expected} within ${tolerance}, got ${actual}${suffix(msg)}`,
  );
}

/** Requires `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  assert(actual > expected, `Expected ${actual} > ${expected}${suffix(msg)}`);
}

/** Requires `actual >= expected`. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  assert(actual >= expected, `Expected ${actual} >= ${expected}${suffix(msg)}`);
}

/** Requires `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  assert(actual < expected, `Expected ${actual} < ${expected}${suffix(msg)}`);
}

/** Requires `actual <= expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  assert(actual <= expected, `Expected ${actual} <= ${expected}${suffix(msg)}`);
}

/** Requires neither null nor undefined. */
export function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    throw new AssertionError(`Expected a value, got ${actual}${suffix(msg)}`);
  }
}

/** A class, abstract or not. */
// deno-lint-ignore no-explicit-any
export type AnyConstructor = abstract new (...args: any[]) => any;

/** Requires an instance of a class. */
export function assertInstanceOf<C extends AnyConstructor>(
  actual: unknown,
  expectedType: C,
  msg = "",
): asserts actual is InstanceType<C> {
  if (actual instanceof expectedType) return;
  throw new AssertionError(
    `Expected an instance of ${expectedType.name}, got ${
      actual instanceof Error ? `${actual.name}: ${actual.message}` : actual
    }${suffix(msg)}`,
  );
}

/** Requires a text to match. */
export function assertMatch(actual: string, expected: RegExp, msg?: string) {
  if (!expected.test(actual)) {
    throw new AssertionError(
      `Expected ${JSON.stringify(actual)} to match ${expected}${suffix(msg)}`,
    );
  }
}

/** Requires a text to contain another. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (!actual.includes(expected)) {
    throw new AssertionError(
      `Expected ${JSON.stringify(actual)} to contain ${
        JSON.stringify(expected)
      }${suffix(msg)}`,
    );
  }
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E> = abstract new (...args: any[]) => E;

function checkThrown<E extends Error>(
  error: unknown,
  errorClass: ErrorClass<E> | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): void {
  if (errorClass) assertInstanceOf(error, errorClass, msg);
  if (msgIncludes !== undefined) {
    assert(error instanceof Error, `Expected an Error${suffix(msg)}`);
    assertStringIncludes(error.message, msgIncludes, msg);
  }
}

/** Requires a function to throw, and gives what it threw. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E {
  try {
    fn();
  } catch (error) {
    checkThrown(error, errorClass, msgIncludes, msg);
    return error as E;
  }
  throw new AssertionError(`Expected function to throw${suffix(msg)}`);
}

/** Requires a function's promise to be rejected, and gives the reason. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    checkThrown(error, errorClass, msgIncludes, msg);
    return error as E;
  }
  throw new AssertionError(`Expected function to reject${suffix(msg)}`);
}
