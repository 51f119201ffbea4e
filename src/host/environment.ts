/**
 * Variables of the environment that are conveniences.
 *
 * @module
 */

/** A variable's value; undefined where it is unset, empty, or Deno may not read it. */
export function environmentVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}
