/**
 * WebGPU where the runtime has none: Dawn, Chrome's implementation, as the npm
 * package `webgpu` brings it to Node and Bun.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { runtimeFault } from "./runtime.ts";

/** What the npm package `webgpu` exports. */
export interface DawnModule {
  /** Makes what belongs at `navigator.gpu`; its options are Dawn's. */
  create(options: string[]): GPU;
  /** Classes and constants that belong into the global object, as `GPUBufferUsage`. */
  readonly globals: Readonly<Record<string, unknown>>;
}

/** Not written into the import: whoever has WebGPU needs no such package. */
const PACKAGE = "webgpu";

/**
 * Puts npm's Dawn at `navigator.gpu`, unless something is there already. Deno has
 * WebGPU of its own; what turns it on is said where the adapter is asked for.
 *
 * @throws {MasterWeaverError} `no-adapter` where the runtime is too old, or the package is missing or does not load
 */
export async function provideWebGpu(): Promise<void> {
  const fault = runtimeFault();
  if (fault !== undefined) throw new MasterWeaverError("no-adapter", fault);
  if (navigator.gpu || "Deno" in globalThis) return;
  const dawn = await loadDawn();
  // Two calls at a time may both come here: the first one's stays.
  if (!navigator.gpu) installDawn(dawn);
}

async function loadDawn(): Promise<DawnModule> {
  try {
    return await import(PACKAGE);
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw new MasterWeaverError(
      "no-adapter",
      code === "ERR_MODULE_NOT_FOUND"
        ? "Found no WebGPU: this runtime has none of its own; install it with `npm i webgpu`"
        : `Cannot load npm's webgpu: ${
          error instanceof Error ? error.message.split("\n")[0] : error
        }; install it again with \`npm i webgpu\``,
      { cause: error },
    );
  }
}

/** Milliseconds between two looks at whether the GPU is done. */
const INTERVAL = 1;

/**
 * Puts Dawn where a browser has its WebGPU, and calms its waits.
 *
 * @param dawn the package, already imported
 *
 * @example
 * ```ts no-eval
 * import { installDawn } from "./dawn.ts";
 *
 * installDawn(await import("webgpu"));
 * console.log(await navigator.gpu.requestAdapter());
 * ```
 */
export function installDawn(dawn: DawnModule): void {
  calmWaits();
  const place = { configurable: true, enumerable: false, writable: true };
  for (const [name, value] of Object.entries(dawn.globals)) {
    Object.defineProperty(globalThis, name, { ...place, value });
  }
  const value = dawn.create([]);
  Object.defineProperty(navigator, "gpu", { ...place, value });
}

let isCalm = false;

/**
 * Has Dawn look for the end of its work once in a millisecond.
 *
 * While it waits it calls `setImmediate` again and again, with a native function,
 * and takes a core from a software adapter that way. Such calls become timers;
 * all others stay what they are.
 */
function calmWaits(): void {
  if (isCalm) return;
  isCalm = true;
  const { setImmediate } = globalThis;
  const calm = (work: (...args: unknown[]) => void, ...args: unknown[]) =>
    isNative(work)
      ? setTimeout(work, INTERVAL, ...args)
      : setImmediate(work, ...args);
  // Keeps what hangs on it, as Node's promisified form.
  globalThis.setImmediate = Object.assign(
    calm,
    Object.fromEntries(
      Reflect.ownKeys(setImmediate)
        .filter((key) => typeof key === "symbol")
        .map((key) => [key, Reflect.get(setImmediate, key)]),
    ),
  ) as typeof setImmediate;
}

/** Dawn's function has no name, which a bound one does ("bound …"). */
function isNative(work: unknown): boolean {
  return typeof work === "function" && work.name === "" &&
    /\{\s*\[native code\]\s*\}\s*$/.test(
      Function.prototype.toString.call(work),
    );
}
