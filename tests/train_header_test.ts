/**
 * What a training run says of itself before its first update.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { finished } from "./support/command.ts";
import { drawDataset } from "./support/dataset.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { type Given, trainTool } from "./support/train_tool.ts";

/** What comes before the first update, by its name. */
async function header(given: Given): Promise<Map<string, string>> {
  const { code, err } = await finished(trainTool({ ...given, quiet: false }));
  assertEquals(code, 0, err.join("\n"));
  const lines = err.slice(0, err.findIndex((line) => line.startsWith("step")));
  return new Map(
    lines.map((line) => {
      const [, name, text] = /^([A-Z][a-z ]+): (.*)$/.exec(line) ?? [];
      return [name, text];
    }),
  );
}

gpuTest(
  "train header: data, batch, rate, memory",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const given: Given = { data, "max-train-steps": 1 };
      const one = `${folder}/one`;
      const first = await header({ ...given, stage: 1, out: one });
      assertMatch(first.get("Adapter")!, /, f32$/);
      assertMatch(
        first.get("Training")!,
        /^stage 1 of the adapter, [\d,]+ parameters$/,
      );
      assertEquals(
        first.get("Data"),
        "5 ids; 1 step of 2 samples: 0.4 epochs",
      );
      assertEquals(first.get("Batch"), "2 × 1 accumulated × 1 rank = 2");
      assertEquals(first.get("Learning rate"), "0.001 as it is, not scaled");
      assertEquals(
        first.get("Memory"),
        "nothing is computed again (--recompute)",
      );
      assertEquals(first.get("Output"), one);
      const second = await header({
        ...given,
        stage: 2,
        out: `${folder}/two`,
        "adapter-path": one,
        "learning-rate": 1e-6,
        "scale-lr": true,
        "gradient-accumulation-steps": 2,
        recompute: "8GB",
      });
      assertMatch(
        second.get("Training")!,
        /^stage 2 of the adapter, [\d,]+ parameters, from .*one\/adapter_final\.weave$/,
      );
      assertEquals(
        second.get("Learning rate"),
        "8e-8: 4e-6 = 1e-6 × 4, as it is scaled by the batch; × 0.02 in stage 2",
      );
      assertMatch(
        second.get("Memory")!,
        /^nothing is computed again; 0\.\d+ GB planned of 8 GB$/,
      );
    }),
);
