/**
 * What the table of options says about each.
 *
 * @module
 */
import type { OptionType } from "./types.ts";

/** What an option belongs to: a call of the library, or the command alone. */
export type OptionGroup = "image" | "identity" | "load" | "command";

/** Everything about an option except its name. */
export interface Option<T = unknown, G extends OptionGroup = OptionGroup> {
  /** What it belongs to. */
  readonly group: G;
  /** What its value may be. */
  readonly type: OptionType<T>;
  /** Its value when it is not given. */
  readonly default?: T;
  /** The default in words, where there is no `default` or it says too little. */
  readonly defaultText?: string;
  /** What it means, for `--help` and README. */
  readonly help: string;
  /** What README adds to `help`. */
  readonly details?: string;
  /** Its key in an image file; `--from-image` repeats options that have one. */
  readonly key?: string;
  /** Whether an image file records it only where it was asked for. */
  readonly recordOnlyIfGiven?: true;
  /** Another name of the flag. */
  readonly alias?: string;
  /** Whether the command does not have it. */
  readonly libraryOnly?: true;
}

/** Options of a group; all but `WithoutDefault` have a default. */
export type Entries<V, G extends OptionGroup, WithoutDefault extends keyof V> =
  & {
    readonly [N in Exclude<keyof V, WithoutDefault>]: Option<V[N], G> & {
      readonly default: V[N];
    };
  }
  & { readonly [N in WithoutDefault]: Option<V[N], G> };
