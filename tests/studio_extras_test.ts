/**
 * Extra files in the studio's engine, found by name in the server's folders: its
 * images are the library's.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { readLora } from "../src/checkpoints/lora_reader.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readControlNet } from "../src/generate/controlnet_file.ts";
import { encodePng } from "../src/host/codecs/codec.ts";
import { decodeImage } from "../src/host/codecs/decode_image.ts";
import { readPngText } from "../src/host/codecs/png_text.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { Image } from "../src/image/image.ts";
import { checkSettings } from "../src/options/options.ts";
import { checkedPhoto } from "../src/studio/api/photos.ts";
import { noSources, type Photo } from "../src/studio/engine/engine.ts";
import { GpuEngine } from "../src/studio/engine/gpu_engine.ts";
import { controlNetBytes } from "./support/control_nets.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { caseFile } from "./support/loras.ts";
import { repositoryPath } from "./support/paths.ts";
import { sameBytes } from "./support/compare.ts";

const MODEL = repositoryPath("weights/mini");
const load = { dtype: "f32", tune: "off" } as const;
const SIDE = 64;

/** An image of two colours, one beside the other. */
function halves(left: number, right: number): Image {
  const data = new Uint8ClampedArray(SIDE * SIDE * 4).fill(255);
  for (let i = 0; i < SIDE * SIDE; i++) {
    data.fill(i % SIDE < SIDE / 2 ? left : right, 4 * i, 4 * i + 3);
  }
  return { width: SIDE, height: SIDE, data };
}

async function file(image: Image): Promise<Photo> {
  const bytes = new Uint8Array(encodePng(image, {}));
  return await checkedPhoto(bytes, "file");
}

gpuTest(
  "studio extras: an image with all of them is the library's",
  () =>
    inFolder(async (extras) => {
      const lora = caseFile("kohya"), net = await controlNetBytes(1);
      for (
        const [path, bytes] of [
          ["loras/film.safetensors", lora],
          ["controlnets/edges.weave", net],
        ] as const
      ) {
        await Deno.mkdir(`${extras}/${path.split("/")[0]}`);
        await Deno.writeFile(`${extras}/${path}`, bytes);
      }
      await using engine = await GpuEngine.open(MODEL, { ...load, extras });
      assertEquals(await engine.extras(), {
        loras: ["film"],
        embeddings: [],
        controlnets: ["edges"],
        upscalers: [],
      });
      const initImage = halves(40, 200), mask = halves(0, 255);
      const image = halves(255, 0);
      const settings = checkSettings({
        prompt: "a (cat:1.2) <lora:film:0.5>",
        promptSyntax: "a1111",
        steps: 2,
        strength: 1,
        width: SIDE,
        height: SIDE,
        idScale: 0,
        lora: "film=0.5",
        sampler: "Euler a",
      }, engine.model.size);
      const control = { name: "edges", scale: 0.5, end: 0.75 };
      const task = {
        settings,
        person: null,
        sources: {
          initImage: await file(initImage),
          mask: await file(mask),
          controls: [{ ...control, image: await file(image) }],
        },
        format: "png",
        preview: false,
      } as const;
      const warnings: string[] = [];
      const onWarning = (warning: string) => warnings.push(warning);
      const made = await engine.generate(task, { onWarning });
      assertEquals(warnings, []);
      const [{ bytes }] = made.images;

      /** What is loaded for the same image once more. */
      const loadedAgain = async () => {
        const networks = new Set<string>();
        await engine.generate(task, {
          onProgress: ({ stage, network = "" }) =>
            stage === "load" && networks.add(network),
        });
        return [...networks];
      };
      assertEquals(await loadedAgain(), []);
      await Deno.writeFile(
        `${extras}/loras/film.safetensors`,
        caseFile("loha"),
      );
      assert((await loadedAgain()).length > 0);

      await using weaver = await MasterWeaver.load(MODEL, load);
      const film = await readLora(new MemorySource(lora, "film"));
      const edges = new MemorySource(net, "edges");
      const { images } = await weaver.generate({
        ...settings,
        initImage,
        mask,
        loras: [{ lora: film, scale: 0.5 }],
        promptLoras: { film },
        controls: [{
          net: await readControlNet(edges),
          scale: 0.5,
          end: 0.75,
          image,
        }],
      });
      assert(sameBytes(decodeImage(bytes, "made").data, images[0].data));

      const text = readPngText(bytes);
      const { initImage: start, mask: painted } = task.sources;
      assertEquals(
        [text.lora, text.controlnet, text.control_range, text.id_scale],
        ["film=0.5", "edges", "0,0.75", undefined],
      );
      assertEquals(text.init_image_hash, start.hash);
      assertEquals(text.mask_hash, painted.hash);
      assertEquals(
        text.control_image_hashes,
        task.sources.controls[0].image.hash,
      );
      assertEquals(text.reference_hashes, undefined);

      // Names alone, and nobody is told where the folders are.
      for (
        const lora of [
          "fim",
          `${extras}/loras/film.safetensors`,
          "../loras/film",
        ]
      ) {
        const error = await assertRejects(
          () =>
            engine.generate({
              ...task,
              sources: noSources,
              settings: {
                ...settings,
                strength: undefined,
                lora,
              },
            }, {}),
          MasterWeaverError,
          "Found no LoRA",
        );
        assertEquals(error.code, "bad-option");
        const said = error.message.replace(lora, "");
        assert(!said.includes(extras), said);
      }

      // A file that is broken or another network is the client's choice, by name.
      for (
        const [folder, own, code] of [
          ["loras", { lora: "bad" }, "bad-checkpoint"],
          ["upscalers", { upscale: "bad" }, "bad-option"],
          ["controlnets", {}, "bad-option"],
        ] as const
      ) {
        await Deno.mkdir(`${extras}/${folder}`, { recursive: true });
        const ending = folder === "loras" ? "safetensors" : "weave";
        const bytes = folder === "upscalers" ? net : lora.subarray(0, 99);
        await Deno.writeFile(`${extras}/${folder}/bad.${ending}`, bytes);
        const [control] = task.sources.controls;
        const error = await assertRejects(
          () =>
            engine.generate({
              ...task,
              sources: folder === "controlnets"
                ? { controls: [{ ...control, name: "bad" }] }
                : noSources,
              settings: {
                ...settings,
                strength: undefined,
                lora: undefined,
                ...own,
              },
            }, {}),
          MasterWeaverError,
          `Cannot use bad.${ending}: `,
        );
        assertEquals(error.code, code);
      }
    }),
);
