/**
 * Caches compute pipelines: Deno's WebGPU does not, and a driver takes up to a
 * second to compile one.
 *
 * @module
 */
import prelude from "../../shaders/prelude.wgsl" with { type: "text" };
import type { StorageType } from "./limits.ts";
import { TEXEL_FORMAT } from "./texels.ts";

/**
 * How a shader accesses a binding: a buffer it reads, a buffer it reads and writes,
 * a texture it reads, or a texture it writes.
 */
export type Access = "read" | "write" | "read texels" | "write texels";

/** Everything that distinguishes one pipeline from another. */
export interface PipelineKey {
  /** File name of the shader, without folder and extension. */
  readonly shader: string;
  /** Its WGSL, without the prelude. */
  readonly code: string;
  /** The storage type: what `real` stands for in the WGSL. */
  readonly storage: StorageType;
  /** u32 constants prepended to the WGSL, for sizes it needs at compile time. */
  readonly defines?: Readonly<Record<string, number>>;
  /** Type aliases prepended to the WGSL, by name. */
  readonly types?: Readonly<Record<string, string>>;
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Its buffers and textures from `@binding(0)` on; the uniform with its parameters follows. */
  readonly access: readonly Access[];
}

/** The layout entry for each kind of access. */
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

/** Makes pipelines and caches them. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  /** The different WGSL seen under each shader name, mostly one. */
  readonly #codes = new Map<string, string[]>();

  readonly #partLayout: GPUBindGroupLayout;
  readonly #made: string[] = [];

  /**
   * An empty cache on one device.
   *
   * @param partLayout layout of bind group 1, the first workgroup of a dispatch
   */
  constructor(device: GPUDevice, partLayout: GPUBindGroupLayout) {
    this.#device = device;
    this.#partLayout = partLayout;
  }

  /** Returns the names of the pipelines made since this was last called. */
  takeMade(): readonly string[] {
    return this.#made.splice(0);
  }

  /** Forgets pipelines that turned out not to be valid. */
  forget(names: readonly string[]): void {
    for (const name of names) this.#pipelines.delete(name);
  }

  /** How many pipelines it holds. */
  get count(): number {
    return this.#pipelines.size;
  }

  /** The pipeline for a key, made when first requested. */
  get(key: PipelineKey): GPUComputePipeline {
    const name = this.#name(key);
    let pipeline = this.#pipelines.get(name);
    if (!pipeline) {
      pipeline = this.#device.createComputePipeline({
        label: name,
        layout: this.#device.createPipelineLayout({
          bindGroupLayouts: [this.layout(key.access), this.#partLayout],
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

  /** A text unique to a key; different WGSL under one shader name is numbered. */
  #name(key: PipelineKey): string {
    const { shader, storage, code, access } = key;
    let codes = this.#codes.get(shader);
    if (!codes) this.#codes.set(shader, codes = []);
    // Compared, not hashed: a plan has thousands of launches with some 10 KB each.
    let number = codes.indexOf(code);
    if (number < 0) number = codes.push(code) - 1;
    const values = (record: Readonly<Record<string, unknown>> = {}) =>
      Object.keys(record).sort()
        .map((name) => `${name}=${record[name]}`).join(" ");
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
   * The layout of bind group 0: buffers and textures, then the uniform. The
   * uniform's offset is dynamic, so that dispatches can share a bind group: some
   * drivers allow only about ten thousand.
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

/** The complete WGSL of a pipeline: storage type, aliases, constants, prelude, shader. */
export function shaderSource(key: PipelineKey): string {
  const defines = Object.entries(key.defines ?? {})
    .map(([name, value]) => `const ${name} = ${value}u;\n`).join("");
  const types = Object.entries(key.types ?? {})
    .map(([name, type]) => `alias ${name} = ${type};\n`).join("");
  const enable = key.storage === "f16" ? "enable f16;\n" : "";
  return `${enable}alias real = ${key.storage};\n${types}${defines}${prelude}\n${key.code}`;
}
