/**
 * `--lora`: found by name, recorded with its hash, and repeated by `--from-image`;
 * and the library's `loras`, from one image to the next.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readLora } from "../src/checkpoints/lora_reader.ts";
import { readImage, readImageText } from "../src/host/files.ts";
import { openLoras, openPromptLoras } from "../src/host/loras.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { hashWarnings } from "../src/host/recorded_hashes.ts";
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

      await Deno.remove(path);
      const without = await run(
        ...[...repeat, "--prompt-syntax=a1111", "--prompt=a <lora:gone:1>"],
      );
      assertMatch(
        without.err.join("\n"),
        /The image will differ: Found no LoRA film in .*\n.*The prompt asks for LoRAs that are not there: gone$/,
      );
      const { text: plain } = await readImageText(`${folder}/b.png`);
      assertEquals([plain.lora, plain.lora_hashes], [undefined, undefined]);
    }),
);

Deno.test("command: LoRAs of a prompt and of the settings are opened once, and hashed", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/loras`);
    await Deno.writeFile(`${folder}/loras/b.safetensors`, caseFile("kohya"));
    const places = { model: folder };
    await using inPrompt = await openPromptLoras(
      "a <lora:b:0.5> <lora:none:1> <lora:b:1> # <lora:c:1>",
      places,
    );
    assertEquals(Object.keys(inPrompt.byName), ["b"]);
    await using opened = await openLoras([
      { name: "b", scale: 1 },
      { name: `${folder}/loras/b.safetensors`, scale: -1, textScale: 0 },
    ], places);
    assertEquals(opened.hashes, inPrompt.hashes);
    const [one, other] = opened.uses;
    assertEquals(one.lora, other.lora);
    assertEquals([other.scale, other.textScale], [-1, 0]);
    const [, hash] = opened.hashes.split(": ");
    const warnings = (recorded: string) =>
      hashWarnings("LoRA", recorded, opened.hashes);
    assertEquals(warnings(opened.hashes), []);
    assertEquals(warnings(`b: ${hash.slice(0, 10)}`), []);
    assertEquals(warnings("b: 0123456789ab"), [
      `The image will differ: its LoRA b has the hash 0123456789ab, the one here ${hash}`,
    ]);
    await assertRejects(
      () => openLoras([{ name: "bb", scale: 1 }], places),
      MasterWeaverError,
      "Found no LoRA bb in",
    );
  }));

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

    // The same by a tag of the prompt, which is no setting.
    const warnings: string[] = [];
    const tagged = await weaver.generate({
      ...{ steps: 1, width: 32, height: 32 },
      prompt: "a<lora:own:0.75><lora:none:1>",
      promptSyntax: "a1111",
      promptLoras: { own: kohya, other: loha },
      onWarning: (warning) => warnings.push(warning),
    });
    assertEquals(tagged.images[0].data, one.data);
    assertEquals(tagged.settings.lora, undefined);
    assertEquals(warnings, [
      "The prompt asks for LoRAs that are not there: none",
    ]);
  },
);
