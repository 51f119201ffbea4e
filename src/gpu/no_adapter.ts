/**
 * Where there is no adapter: why, and what to do in that runtime.
 *
 * @module
 */

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

/** What to do without `navigator.gpu`, and with it but without an adapter. */
interface Advice {
  /** What its user agent contains. */
  readonly runtimes: readonly string[];
  readonly withoutApi: string;
  readonly withoutAdapter: string;
}

const DRIVER = "a Vulkan, Metal or Direct3D 12 driver is needed";

/** The first that the user agent names counts: Chrome's also names Safari. */
const advice: readonly Advice[] = [
  {
    runtimes: ["Deno/"],
    withoutApi:
      'put "unstable": ["webgpu"] into deno.json, or start Deno with the flag unstable-webgpu',
    withoutAdapter: DRIVER,
  },
  {
    runtimes: ["Node.js/"],
    withoutApi:
      "Node.js has no WebGPU of its own; install the npm package webgpu and put what its create([]) gives into navigator.gpu",
    withoutAdapter: DRIVER,
  },
  {
    runtimes: ["Bun/"],
    withoutApi:
      "Bun has no WebGPU of its own; install the npm package webgpu and put what its create([]) gives into navigator.gpu",
    withoutAdapter: DRIVER,
  },
  {
    runtimes: ["Firefox/"],
    withoutApi:
      "Firefox has WebGPU from 141 on Windows and 145 on macOS with Apple silicon; elsewhere set dom.webgpu.enabled in about:config, or use Firefox Nightly",
    withoutAdapter:
      "see in about:support what Firefox says of WebGPU, and update the graphics driver",
  },
  {
    runtimes: ["Chrome/", "Chromium/"],
    withoutApi:
      "Chrome and Edge have WebGPU from 113 on Windows, macOS and ChromeOS, and 121 on Android; on Linux turn on chrome://flags/#enable-unsafe-webgpu",
    withoutAdapter:
      "see in chrome://gpu whether WebGPU is on, turn on graphics acceleration in the settings, and update the graphics driver; on Linux turn on chrome://flags/#enable-unsafe-webgpu and #enable-vulkan",
  },
  {
    runtimes: ["Safari/"],
    withoutApi:
      "Safari has WebGPU from 26 on macOS 26, iOS 26 and iPadOS 26; before, turn it on among the feature flags in its settings",
    withoutAdapter: "update macOS, iOS or iPadOS",
  },
];

const other: Omit<Advice, "runtimes"> = {
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
  const agent = navigator?.userAgent ?? "";
  const { withoutApi, withoutAdapter } =
    advice.find(({ runtimes }) =>
      runtimes.some((name) => agent.includes(name))
    ) ?? other;
  const what = hasApi
    ? withoutAdapter
    : isSecureContext === false
    ? "browsers offer WebGPU only to pages that came by https or from localhost"
    : withoutApi;
  return `Found no WebGPU adapter: ${what}`;
}
