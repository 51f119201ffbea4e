/**
 * Writes a whole checkpoint of random, well-scaled values at full size: it
 * lets every network run at its true size where the public weights are not at
 * hand, and be compared with PyTorch on the same values.
 *
 *     deno run -A tools/random_checkpoint.ts --output DIR
 *
 * @module
 */
import { writeFileAtomic } from "../src/host/files.ts";
import { UsageError } from "../src/host/exit.ts";
import { writeSafetensors } from "../src/checkpoints/safetensors_writer.ts";
import {
  SD15_SCHEDULER_CONFIG,
  VIT_L14_PREPROCESSOR_CONFIG,
} from "../src/checkpoints/tables/stable_diffusion.ts";
import {
  type TorchDict,
  writeTorchZip,
} from "../src/checkpoints/torch_writer.ts";
import {
  randomValues,
  startingDistributions,
} from "./random_checkpoint/distributions.ts";
import {
  type CheckpointShape,
  type Configs,
  FULL_SIZE,
  NETWORKS,
  singleFileTensors,
  tensorsOf,
} from "./random_checkpoint/model.ts";
import type { NetworkComponent } from "../src/weights/components.ts";
import { makeTokenizer } from "./random_checkpoint/tokenizer.ts";
import {
  flag,
  oneOf,
  option,
  repeatable,
  talk,
  text,
  toolMain,
  whole,
} from "./tool.ts";

const USAGE = `Usage: deno run -A tools/random_checkpoint.ts --output DIR

Writes a checkpoint of random values in the sizes of Stable Diffusion 1.5, CLIP
ViT-L/14, the reference's identity adapter and BiSeNet: a folder that
tools/convert.ts and PyTorch read. Its images show nothing.

  --output DIR     where to; made where it is missing
  --part NAME      only this network (${NETWORKS.join(", ")}); repeatable
  --single-file    UNet, VAE and text encoder in one file, in the layout of
                   v1-5-pruned.safetensors, instead of their folders
  --dtype f32|f16  how safetensors files store values (f32)
  --seed N         another seed gives other values (0)
  -h, --help       this text

Values lie on the grid of f16, so that converting to f16 loses nothing.`;

/** What to write. */
export interface RandomCheckpoint {
  /** The folder to write to. */
  readonly output: string;
  /** Which networks (all). */
  readonly networks?: readonly NetworkComponent[];
  /** Whether UNet, VAE and text encoder are one file. */
  readonly singleFile?: boolean;
  /** How safetensors files store values (f32). */
  readonly dtype?: "f32" | "f16";
  /** Seed of all values (0). */
  readonly seed?: number;
  /** Sizes (full size). */
  readonly configs?: Configs;
  /** Told of every file. */
  readonly report?: (line: string) => void;
}

/** Networks that a single file holds. */
const IN_SINGLE_FILE: readonly NetworkComponent[] = [
  "unet",
  "vae",
  "text_encoder",
];
/** What the weight file of a folder is called. */
const FILES: Readonly<Partial<Record<NetworkComponent, string>>> = {
  unet: "diffusion_pytorch_model.safetensors",
  vae: "diffusion_pytorch_model.safetensors",
  text_encoder: "model.safetensors",
  image_encoder: "model.safetensors",
};

/**
 * Writes a checkpoint of random values, chunk by chunk.
 *
 * @throws {MasterWeaverError} `cannot-write`
 */
export async function writeRandomCheckpoint(
  options: RandomCheckpoint,
): Promise<void> {
  const { output, networks = NETWORKS, singleFile = false } = options;
  const { configs = FULL_SIZE } = options;
  await Deno.mkdir(output, { recursive: true });
  if (singleFile) {
    const networks = singleFileTensors(configs);
    await writeTensors(`${output}/v1-5-pruned.safetensors`, networks, options);
  }
  // Weights first: where writing is stopped, no config stands without them.
  for (const network of networks) {
    if (singleFile && IN_SINGLE_FILE.includes(network)) continue;
    const tensors = tensorsOf(network, configs);
    const file = FILES[network];
    if (file !== undefined) {
      const folder = `${output}/${network}`;
      await Deno.mkdir(folder, { recursive: true });
      await writeTensors(`${folder}/${file}`, [tensors], options);
      await writeJson(`${folder}/config.json`, configs[network]);
    } else if (network === "identity_adapter") {
      const dicts = ["id_encoder", "adapter_modules"];
      await writeTorch(`${output}/adapter_final.pt`, dicts, tensors, options);
      await writeJson(`${output}/adapter_config.json`, configs[network]);
    } else {
      const dicts = ["state_dict"];
      await writeTorch(`${output}/face_parser.pth`, dicts, tensors, options);
      await writeJson(`${output}/face_parser_config.json`, configs[network]);
    }
  }
  await writeBeside(output, networks, configs);
}

/** What is no weight. */
async function writeBeside(
  output: string,
  networks: readonly NetworkComponent[],
  configs: Configs,
): Promise<void> {
  if (networks.includes("unet")) {
    const name = "scheduler/scheduler_config.json";
    await writeJson(`${output}/${name}`, SD15_SCHEDULER_CONFIG);
  }
  if (networks.includes("image_encoder")) {
    const size = configs.image_encoder.image_size;
    const name = "image_encoder/preprocessor_config.json";
    const json = { ...VIT_L14_PREPROCESSOR_CONFIG, size, crop_size: size };
    await writeJson(`${output}/${name}`, json);
  }
  if (networks.includes("text_encoder")) {
    const size = Number(configs.text_encoder.vocab_size);
    const { vocab, merges } = makeTokenizer(size);
    await writeJson(`${output}/tokenizer/vocab.json`, vocab);
    const bytes = new TextEncoder().encode(merges);
    const path = `${output}/tokenizer/merges.txt`;
    await writeFileAtomic(path, (append) => append(bytes));
  }
  const model = { _class_name: "StableDiffusionPipeline" };
  await writeJson(`${output}/model_index.json`, model);
}

/** The values of a network's tensors; those of one name are the same. */
function valuesOf(
  tensors: readonly CheckpointShape[],
  { seed = 0 }: RandomCheckpoint,
) {
  const own = tensors.map(({ ownName, shape }) => ({ name: ownName, shape }));
  const distribution = startingDistributions(own);
  return tensors.map(({ name, shape, ownName }) => {
    const tensor = { name: ownName, shape };
    const floats = () => randomValues(tensor, distribution(tensor), seed, true);
    return { name, shape, floats };
  });
}

async function writeTensors(
  path: string,
  networks: readonly (readonly CheckpointShape[])[],
  options: RandomCheckpoint,
): Promise<void> {
  const contents = networks.flatMap((tensors) => valuesOf(tensors, options));
  const dtype = options.dtype === "f16" ? "F16" : "F32";
  await writeFileAtomic(
    path,
    (append) => writeSafetensors(append, contents, dtype),
  );
  options.report?.(`${path}: ${contents.length} tensors`);
}

/** A file of torch.save, f32; names start with those of the state dicts. */
async function writeTorch(
  path: string,
  names: readonly string[],
  tensors: readonly CheckpointShape[],
  options: RandomCheckpoint,
): Promise<void> {
  const contents = valuesOf(tensors, options).map((content) => ({
    ...content,
    floats: async function* () {
      yield* content.floats();
    },
  }));
  const dicts: TorchDict[] = names.map((name) => {
    const inside = contents.filter((tensor) =>
      tensor.name.startsWith(`${name}.`)
    ).map((tensor) => ({
      ...tensor,
      name: tensor.name.slice(name.length + 1),
    }));
    // A state dict that is alone holds names as they are.
    return { name, tensors: names.length > 1 ? inside : contents };
  });
  await writeFileAtomic(path, (append) => writeTorchZip(append, dicts));
  options.report?.(`${path}: ${contents.length} tensors`);
}

async function writeJson(path: string, json: unknown): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const bytes = new TextEncoder().encode(JSON.stringify(json, null, 2));
  await writeFileAtomic(path, (append) => append(bytes));
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {
    output: option(text),
    part: repeatable(oneOf(NETWORKS)),
    "single-file": flag,
    dtype: option(oneOf(["f32", "f16"]), "f32"),
    seed: option(whole(0), "0"),
  },
  async run({ output, part = NETWORKS, ...values }) {
    if (!output) throw new UsageError("Give --output DIR");
    const { dtype, seed, "single-file": singleFile } = values;
    const networks = NETWORKS.filter((name) => part.includes(name));
    const { report } = talk(false);
    const stored = { singleFile, dtype, seed };
    await writeRandomCheckpoint({ output, networks, ...stored, report });
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
