/**
 * A rank that adds up gradients on its GPU with the other ranks', and prints what
 * it got as one line of JSON.
 *
 * @module
 */
import { Gpu } from "../../../src/gpu/gpu.ts";
import { openMpi } from "../../../src/host/mpi/communicator.ts";
import { runAsRank } from "../../../src/host/mpi/rank.ts";
import { sumGradients } from "../../../src/train/distributed/sum_gradients.ts";
import { ParameterBlocks } from "../../../src/train/optimiser/parameter_blocks.ts";

const ranks = await openMpi();
await runAsRank(ranks, async () => {
  using gpu = await Gpu.open();
  using blocks = await ParameterBlocks.make(gpu, [
    { name: "weight", shape: [70, 9] },
    { name: "bias", shape: [3], weightDecay: false },
    { name: "other", shape: [33] },
  ], { blockBytes: 1024 });
  for (const [i, name] of blocks.names.entries()) {
    const { spec: { shape } } = blocks.slice(name, "gradients");
    const length = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from(
      { length },
      (_, k) => (i + 1) * (ranks.rank + 1) + k / 1024,
    );
    blocks.write(name, values, "gradients");
  }
  const summing = sumGradients(blocks, ranks);
  // In step although the sum waits for the GPU in between.
  const others = await ranks.gather(ranks.rank);
  await summing;
  const found = await blocks.read("gradients");
  console.log(JSON.stringify({
    others,
    first: [...found].map(([name, values]) => [name, values[0], values[1]]),
  }));
});
