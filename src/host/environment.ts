/**
 * Variables of the environment that are conveniences.
 *
 * @module
 */
import process from "node:process";
import { isMissingPermission } from "./reasons.ts";

/** A variable's value; undefined where it is unset, empty, or Deno may not read it. */
export function environmentVariable(name: string): string | undefined {
  try {
    return process.env[name] || undefined;
  } catch (error) {
    if (isMissingPermission(error)) return undefined;
    throw error;
  }
}
