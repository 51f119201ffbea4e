/**
 * Where there is no adapter: why, and what to do in that runtime.
 *
 * @module
 */

import { type Advice, browserAdvice, browserOf } from "./browsers.ts";

/** What tells a runtime from another. */
export interface Surroundings {
  /** The user agent, and whether there is WebGPU at all. */
  readonly navigator?: {
    readonly userAgent?: string;
    readonly gpu?: unknown;
  };
  /** Of a page: whether it came by https or from this machine. */
  readonly isSecureContext?: boolean;
}

const DRIVER = "a Vulkan, Metal or Direct3D 12 driver is needed";

/** Runtimes that are no browsers, by what their user agent contains. */
const runtimes: Readonly<Record<string, Advice>> = {
  "Deno/": {
    withoutApi:
      'put "unstable": ["webgpu"] into deno.json, or start Deno with the flag unstable-webgpu',
    withoutAdapter: DRIVER,
  },
  "Node.js/": {
    withoutApi:
      "Node.js has no WebGPU of its own; install the npm package webgpu and put what its create([]) gives into navigator.gpu",
    withoutAdapter: DRIVER,
  },
  "Bun/": {
    withoutApi:
      "Bun has no WebGPU of its own; install the npm package webgpu and put what its create([]) gives into navigator.gpu",
    withoutAdapter: DRIVER,
  },
};

const unknown: Advice = {
  withoutApi:
    "this runtime has no navigator.gpu; use a current Chrome, Edge, Firefox, Safari or Deno",
  withoutAdapter: DRIVER,
};

/**
 * The message where no adapter was found.
 *
 * @param surroundings the runtime's global object
 *
 * @example
 * ```ts
 * import { noAdapter } from "./no_adapter.ts";
 *
 * const navigator = { userAgent: "Bun/1.4.5" };
 * console.log(noAdapter({ navigator }));
 * // "Found no WebGPU adapter: Bun has no WebGPU of its own; install …"
 * ```
 */
export function noAdapter(surroundings: Surroundings): string {
  const { navigator, isSecureContext } = surroundings;
  const hasApi = navigator?.gpu !== undefined && navigator.gpu !== null;
  const { withoutApi, withoutAdapter } = adviceFor(navigator?.userAgent ?? "");
  const what = hasApi
    ? withoutAdapter
    : isSecureContext === false
    ? "browsers offer WebGPU only to pages that came by https or from localhost"
    : withoutApi;
  return `Found no WebGPU adapter: ${what}`;
}

function adviceFor(userAgent: string): Advice {
  for (const [name, advice] of Object.entries(runtimes)) {
    if (userAgent.includes(name)) return advice;
  }
  const browser = browserOf(userAgent);
  return browser === "other" ? unknown : browserAdvice[browser];
}
