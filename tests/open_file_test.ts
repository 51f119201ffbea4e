/**
 * Files of extra networks, opened as the library's users open them.
 */
import { assertEquals, assertRejects } from "@std/assert";
import {
  MasterWeaverError,
  type OpenFile,
  openFile,
  readControlNet,
  readLora,
} from "../mod.ts";
import { controlNetBytes } from "./support/control_nets.ts";
import { inFolder } from "./support/file_systems.ts";
import { caseFile } from "./support/loras.ts";

Deno.test("library: LoRAs and ControlNets are read from open files", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/film.safetensors`, caseFile("kohya"));
    await Deno.writeFile(`${folder}/edges.weave`, await controlNetBytes(1));
    let closed: OpenFile;
    {
      await using film = await openFile(`${folder}/film.safetensors`);
      assertEquals((await readLora(film)).name, "film");
      await using edges = await openFile(
        new URL(`file://${folder}/edges.weave`),
      );
      const { hash } = await readControlNet(edges);
      assertEquals(hash.length, 64);
      closed = edges;
    }
    await assertRejects(() => closed.read(0, 8));
    const refused = async (path: unknown) => {
      const error = await assertRejects(
        () => openFile(path as string),
        MasterWeaverError,
      );
      return error.code;
    };
    assertEquals(await refused(`${folder}/none`), "cannot-read");
    assertEquals(await refused(folder), "cannot-read");
    assertEquals(await refused(new URL("https://a.test/b")), "bad-option");
  }));
