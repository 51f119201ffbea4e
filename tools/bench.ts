/**
 * Times ops, a picture and the face pipeline.
 *
 *     deno task bench                # all of them
 *     deno task bench --picture --model weights/mini --steps 30
 *     deno task bench --ops --json
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MasterWeaverError } from "../src/errors.ts";
import { chooseDtype, Gpu, type Real } from "../src/gpu/gpu.ts";
import { benchFaces, faceLines } from "./bench/faces.ts";
import { benchOps, opLines } from "./bench/ops.ts";
import { benchPicture, pictureLines } from "./bench/picture.ts";

const usage = `Times ops, a picture and the face pipeline on this machine.

  deno task bench [--ops] [--picture] [--faces] [options]

  --ops            each op: shape, ms, GFLOP/s or GB/s
  --picture        load, compile, encode, per step, decode, peak GPU memory
  --faces          find faces, place landmarks, align: on the CPU
                   (all three where none is given)
  --model DIR      a converted model (weights/mini)
  --ref FILE       reference photo (weights/mini/demo.png)
  --photo FILE     photo to find faces in (one of the tests')
  --steps N        denoising steps (30)
  --width N, --height N
                   in pixels (the model's own size)
  --keep-loaded    networks stay on the GPU when they are done
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --json           one JSON object on stdout
  --help
`;

/** A file of this repository. */
function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

class UsageError extends Error {}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        ops: { type: "boolean", default: false },
        picture: { type: "boolean", default: false },
        faces: { type: "boolean", default: false },
        model: { type: "string", default: repositoryFile("weights/mini") },
        ref: {
          type: "string",
          default: repositoryFile("weights/mini/demo.png"),
        },
        photo: {
          type: "string",
          default: repositoryFile("tests/goldens/face/astronaut.png"),
        },
        steps: { type: "string", default: "30" },
        width: { type: "string" },
        height: { type: "string" },
        "keep-loaded": { type: "boolean", default: false },
        dtype: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : `${error}`);
  }
}

/**
 * Runs the bench.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
async function main(args: readonly string[]): Promise<number> {
  try {
    const values = parseFlags(args);
    if (values.help) {
      console.log(usage.trimEnd());
      return 0;
    }
    const all = !values.ops && !values.picture && !values.faces;
    const picture = all || values.picture
      ? await benchPicture({
        model: values.model,
        ref: values.ref,
        steps: Number(values.steps),
        dtype: values.dtype as Real | undefined,
        size: values.width || values.height
          ? [
            Number(values.width ?? values.height),
            Number(values.height ?? values.width),
          ]
          : undefined,
        keepLoaded: values["keep-loaded"],
      })
      : null;
    if (picture && !values.json) {
      console.log(pictureLines(picture).join("\n"));
    }
    const faces = all || values.faces ? await benchFaces(values.photo) : null;
    if (faces && !values.json) console.log(faceLines(faces).join("\n"));
    const ops = all || values.ops ? await timeOps(values.dtype) : null;
    if (ops && !values.json) {
      console.log(opLines(ops.timings, ops.dtype).join("\n"));
    }
    if (values.json) console.log(JSON.stringify({ picture, faces, ops }));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}; see --help`);
      return 2;
    }
    if (error instanceof MasterWeaverError) {
      console.error(error.message);
      return 1;
    }
    throw error;
  }
}

async function timeOps(asked: string | undefined) {
  using gpu = await Gpu.open();
  const dtype = chooseDtype(gpu, asked as Real | undefined);
  return { dtype, timings: await benchOps(gpu, dtype) };
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
