/**
 * A stand-in for `jsr:@std/cli`, for machines that reach no JSR.
 *
 * @module
 */
export * from "./parse_args.ts";
