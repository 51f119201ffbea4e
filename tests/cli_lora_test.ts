/**
 * `--lora`: found by name, recorded with its hash, and repeated by `--from-image`;
 * and the library's `loras`, from one image to the next.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { readLora } from "../src/checkpoints/lora_reader.ts";
import { readImage, readImageText } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { command } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { caseFile } from "./support/loras.ts";
import { repositoryPath } from "./support/paths.ts";

const quick = ["--steps=1", "--width=32", "--height=32", "--quiet"];

gpuTest(
  "command: a LoRA by name, recorded and repeated; another file or none is said",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/more/loras`, { recursive: true });
      const path = `${folder}/more/loras/film.safetensors`;
      await Deno.writeFile(path, caseFile("kohya"));
      const run = async (...args: string[]) => {
        const extras = ["--extras=more", "--dtype=f32", "--tune=off"];
        const ran = await command([...extras, ...quick, ...args], {
          cwd: folder,
        });
        assertEquals(ran.code, 0, ran.err.join("\n"));
        return ran;
      };
      const blocks = Array(14).fill(1).join();
      await run("--prompt=a", `--lora=film=0.75:${blocks}`, "--lora=film=-0.5");
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals(text.lora, `film=0.75:${blocks};film=-0.5`);
      assertMatch(text.lora_hashes, /^film: [0-9a-f]{12}$/);
      assertMatch(
        text.parameters ?? "",
        /, Lora hashes: "film: [0-9a-f]{12}", /,
      );
      const first = await readImage(`${folder}/output.png`);

      const repeat = ["--from-image=output.png", "--output=b.png"];
      assertEquals((await run(...repeat)).err, []);
      assertEquals(await readImage(`${folder}/b.png`), first);

      await Deno.writeFile(path, caseFile("loha"));
      const other = await run(...repeat);
      assertMatch(
        other.err.join("\n"),
        /The image will differ: its LoRA film has the hash [0-9a-f]{12}, the one here [0-9a-f]{12}$/,
      );
      await Deno.remove(path);
      const without = await run(...repeat);
      assertMatch(
        without.err.join("\n"),
        /The image will differ: Found no LoRA .*film/,
      );
      const { text: plain } = await readImageText(`${folder}/b.png`);
      assertEquals([plain.lora, plain.lora_hashes], [undefined, undefined]);

      const { code, err } = await command(
        [...quick, "--extras=more", "--prompt=a", "--lora=fil"],
        { cwd: folder },
      );
      assertEquals(code, 2);
      assertMatch(err[0], /^Found no LoRA .*fil/);
    }),
);

gpuTest(
  "library: LoRAs from image to image, on networks that stay loaded",
  async () => {
    const kohya = await readLora(new MemorySource(caseFile("kohya"), "kohya"));
    const loha = await readLora(new MemorySource(caseFile("loha"), "loha"));
    await using weaver = await MasterWeaver.load(
      repositoryPath("weights/mini"),
      {
        dtype: "f32",
        keepLoaded: true,
        tune: "off",
      },
    );
    const image = async (
      loras?: Parameters<typeof weaver.generate>[0]["loras"],
    ) => {
      const options = { prompt: "a", steps: 1, width: 32, height: 32 };
      const { images, settings } = await weaver.generate({ ...options, loras });
      return { data: images[0].data, lora: settings.lora };
    };
    const plain = await image();
    const one = await image([{ lora: kohya, scale: 0.75 }]);
    const two = await image([{ lora: kohya, scale: 0.75 }, { lora: loha }]);
    assertEquals(two.lora, "kohya=0.75;loha=1");
    assert(String(one.data) !== String(plain.data));
    assert(String(one.data) !== String(two.data));
    assertEquals(await image([{ lora: kohya, scale: 0.75 }]), one);
    assertEquals(await image(), plain);
    assertEquals(plain.lora, undefined);
  },
);
