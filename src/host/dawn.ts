/**
 * WebGPU where the runtime has none of its own, as Node and Bun: npm's `webgpu`,
 * which is Dawn, the implementation in Chrome.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";

/** As much of the package as is used here. */
interface Dawn {
  create(options: string[]): GPU;
  /** `GPUBufferUsage` and the like. */
  readonly globals: Record<string, unknown>;
}

/** Not written into the import: whoever has WebGPU needs no such package. */
const PACKAGE = "webgpu";

/** Milliseconds between two looks whether the GPU is done. */
const PERIOD = 1;

/**
 * Puts Dawn at `navigator.gpu`, unless something is there already.
 *
 * @throws {MasterWeaverError} `no-adapter` where the package is missing or does not load
 */
export async function provideWebGpu(): Promise<void> {
  if (navigator.gpu) return;
  const { create, globals } = await loadDawn();
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) define(globalThis, name, value);
  }
  calmPolling();
  // Two calls at a time may both come here: the first one's stays.
  if (!navigator.gpu) define(navigator, "gpu", create([]));
}

async function loadDawn(): Promise<Dawn> {
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

function define(owner: object, name: string, value: unknown): void {
  Object.defineProperty(owner, name, {
    value,
    configurable: true,
    writable: true,
  });
}

let isCalm = false;

/**
 * Lets Dawn look every millisecond whether the GPU is done. It calls
 * `setImmediate` for that, over and over, and so takes a whole core, which a
 * software adapter needs for the shaders.
 */
function calmPolling(): void {
  const owner = globalThis as { setImmediate?: typeof setImmediate };
  if (isCalm || !owner.setImmediate) return;
  isCalm = true;
  // A proxy keeps what else belongs to the function, as `util.promisify` needs it.
  owner.setImmediate = new Proxy(owner.setImmediate, {
    apply: (original, self, args) =>
      args.length === 1 && isNative(args[0])
        ? setTimeout(args[0], PERIOD)
        : Reflect.apply(original, self, args),
  });
}

/**
 * Whether a function is one of C++, as Dawn's are, and not of a program. A
 * promise's `resolve` looks the same; it is called a millisecond late.
 */
function isNative(value: unknown): value is () => void {
  return typeof value === "function" && value.name === "" &&
    /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(value));
}
