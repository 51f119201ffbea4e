/**
 * The package's `package.json`.
 *
 * @module
 */
import { version } from "../../src/base/version.ts";
import { bins, entries, inDeclarations, inJavaScript } from "./modules.ts";

/** What the package is called. */
export const packageName = "masterweaver-webgpu";

/**
 * The content of `package.json`.
 *
 * @param dependencies npm packages that are imported, with their versions
 */
export function packageJson(
  dependencies: ReadonlyMap<string, string>,
): Readonly<Record<string, unknown>> {
  const core = condition(entries["./core"]);
  return {
    name: packageName,
    version,
    description:
      "Images of a person from one photo and a prompt, computed on WebGPU",
    keywords: ["webgpu", "wgsl", "stable-diffusion", "text-to-image"],
    // The second is the face detector's; its text lies beside that.
    license: "Apache-2.0 AND BSL-1.0",
    type: "module",
    engines: { node: ">=24" },
    bin: mapValues(bins, (source) => `./${inJavaScript(source)}`),
    exports: {
      // A page has no file system: it gets the core.
      ".": { browser: core, ...condition(entries["."]) },
      "./core": core,
      "./weights/mini/*": "./weights/mini/*",
      "./package.json": "./package.json",
    },
    // For what does not read `exports`.
    types: `./${inDeclarations(entries["."])}`,
    sideEffects: false,
    dependencies: Object.fromEntries([...dependencies].toSorted()),
    // For Node and Bun, which have no WebGPU of their own.
    peerDependencies: { webgpu: ">=0.6.2" },
    peerDependenciesMeta: { webgpu: { optional: true } },
  };
}

/** Types come first: the first condition that fits is taken. */
function condition(source: string) {
  return {
    types: `./${inDeclarations(source)}`,
    default: `./${inJavaScript(source)}`,
  };
}

function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  change: (value: T) => U,
): Record<string, U> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, change(value)]),
  );
}
