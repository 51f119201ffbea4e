/**
 * Compute pipelines, each made once: WebGPU has no cache of its own here, and
 * a driver takes up to a second for one.
 *
 * @module
 */
import prelude from "../../shaders/prelude.wgsl" with { type: "text" };
import type { StorageType } from "./limits.ts";
import { TEXEL_FORMAT } from "./texels.ts";

/**
 * How a shader sees what it binds: a buffer it reads, a buffer it reads and
 * writes, a texture whose texels it reads, or a texture whose texels it writes.
 */
export type Access = "read" | "write" | "read texels" | "write texels";

/** Everything that tells one pipeline from another. */
export interface PipelineKey {
  /** File name of the shader, without folder and ending. */
  readonly shader: string;
  /** Its WGSL, without the prelude. */
  readonly code: string;
  /** The storage type: what `real` means in it. */
  readonly storage: StorageType;
  /** Constants put in front of it, for sizes that WGSL wants at compile time. */
  readonly defines?: Readonly<Record<string, number>>;
  /** Type aliases put in front of it, by name. */
  readonly types?: Readonly<Record<string, string>>;
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Its buffers and textures, `@binding(0)` onwards; a uniform with its parameters follows. */
  readonly access: readonly Access[];
}

/** What a binding of each kind is declared as. */
const bindingTypes: Readonly<
  Record<Access, Pick<GPUBindGroupLayoutEntry, "buffer" | "storageTexture">>
> = {
  "read": { buffer: { type: "read-only-storage" } },
  "write": { buffer: { type: "storage" } },
  "read texels": {
    storageTexture: { format: TEXEL_FORMAT, access: "read-only" },
  },
  "write texels": {
    storageTexture: { format: TEXEL_FORMAT, access: "write-only" },
  },
};

/** Makes pipelines once and remembers them. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  /** The codes that came under a shader's name, mostly one. */
  readonly #codes = new Map<string, string[]>();

  readonly #parts: GPUBindGroupLayout;
  readonly #made: string[] = [];

  /**
   * A cache on one device.
   *
   * @param parts layout of bind group 1, where a dispatch begins
   */
  constructor(device: GPUDevice, parts: GPUBindGroupLayout) {
    this.#device = device;
    this.#parts = parts;
  }

  /** Names of the pipelines made since the last call of this. */
  takeMade(): readonly string[] {
    return this.#made.splice(0);
  }

  /** Forgets pipelines that turned out not to be valid. */
  forget(names: readonly string[]): void {
    for (const name of names) this.#pipelines.delete(name);
  }

  /** How many pipelines have been made. */
  get count(): number {
    return this.#pipelines.size;
  }

  /** The pipeline for a key, made on first request. */
  get(key: PipelineKey): GPUComputePipeline {
    const name = this.#name(key);
    let pipeline = this.#pipelines.get(name);
    if (!pipeline) {
      pipeline = this.#device.createComputePipeline({
        label: name,
        layout: this.#device.createPipelineLayout({
          bindGroupLayouts: [this.layout(key.access), this.#parts],
        }),
        compute: {
          module: this.#device.createShaderModule({
            label: key.shader,
            code: shaderSource(key),
          }),
          entryPoint: "main",
          constants: { ...key.constants },
        },
      });
      this.#pipelines.set(name, pipeline);
      this.#made.push(name);
    }
    return pipeline;
  }

  /** What tells a key from others; two codes of one shader's name by their number. */
  #name(key: PipelineKey): string {
    const { shader, storage, code, access } = key;
    let codes = this.#codes.get(shader);
    if (!codes) this.#codes.set(shader, codes = []);
    // Compared, not hashed: a plan has thousands of launches of some 10 KB each.
    let number = codes.indexOf(code);
    if (number < 0) number = codes.push(code) - 1;
    const values = (of: Readonly<Record<string, unknown>> = {}) =>
      Object.keys(of).sort().map((name) => `${name}=${of[name]}`).join(" ");
    return [
      number === 0 ? shader : `${shader} (${number + 1})`,
      storage,
      values(key.types),
      values(key.defines),
      values(key.constants),
      access.join(", "),
    ].join(" | ");
  }

  /**
   * The layout of a bind group: buffers and textures, then the uniform with
   * parameters. Where the uniform begins is told at the dispatch, so that
   * dispatches share a bind group: a driver may hold but some ten thousand.
   */
  layout(access: readonly Access[]): GPUBindGroupLayout {
    const name = access.join(", ");
    let layout = this.#layouts.get(name);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        label: name,
        entries: [
          ...access.map((kind, binding): GPUBindGroupLayoutEntry => ({
            binding,
            visibility: GPUShaderStage.COMPUTE,
            ...bindingTypes[kind],
          })),
          {
            binding: access.length,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: "uniform", hasDynamicOffset: true },
          },
        ],
      });
      this.#layouts.set(name, layout);
    }
    return layout;
  }
}

/** The whole WGSL of a pipeline: storage type, constants, prelude, shader. */
export function shaderSource(key: PipelineKey): string {
  const defines = Object.entries(key.defines ?? {})
    .map(([name, value]) => `const ${name} = ${value}u;\n`).join("");
  const types = Object.entries(key.types ?? {})
    .map(([name, type]) => `alias ${name} = ${type};\n`).join("");
  const enable = key.storage === "f16" ? "enable f16;\n" : "";
  return `${enable}alias real = ${key.storage};\n${types}${defines}${prelude}\n${key.code}`;
}
