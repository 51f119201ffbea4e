/** The version, as in `deno.json` and the changelog. */
export const version = "0.1.0";
