import { FileSource } from "/tmp/w/control17/src/host/files.ts";
import { readControlNet } from "/tmp/w/control17/src/generate/controlnet_file.ts";
import { Graph } from "/tmp/w/control17/src/graph/graph.ts";
import { Network } from "/tmp/w/control17/src/graph/network.ts";
import { Tuner } from "/tmp/w/control17/src/graph/tuner.ts";
import { Gpu } from "/tmp/w/control17/src/gpu/gpu.ts";
import { controlEmbedding, controlNet } from "/tmp/w/control17/src/models/controlnet.ts";
import { crossKeys } from "/tmp/w/control17/src/models/cross_attentions.ts";
import { nmse } from "/tmp/w/control17/tools/compare/measures.ts";
import { readSafetensors } from "/tmp/w/control17/tests/support/safetensors.ts";
const o = await readSafetensors("/tmp/full_cn/out.safetensors");
const src = await FileSource.open("/tmp/full_cn/weave/net.weave");
const { component: { weights, config } } = await readControlNet(src) as any;
const gpu = await Gpu.open();
for (const storage of ["f32", "f16"] as const) {
  const g = new Graph(storage);
  const text = g.input("text", [1, 77, 768], storage);
  const image = g.input("image", [1, 64, 64, 4], storage);
  const found = controlNet({ sample: g.input("sample", [1, 8, 8, 4], storage), t: g.input("timesteps", [1], "f32"), embedding: controlEmbedding(image, weights, config), cross: (a) => crossKeys(a, text, weights) }, weights, config);
  found.forEach((r, i) => g.output(`r${i}`, r));
  const net = new Network(gpu, false, new Tuner(gpu, "off"));
  const read = await net.use({ plans: { p: { key: "p", graph: () => g } } }, ({ p }) => { for (const n of ["text", "image", "sample", "timesteps"]) p.write(n, o.get(n)!.data as any); p.run(); return p.read(...g.outputs.keys()); });
  console.log(storage, found.map((_, i) => nmse((read as any)[`r${i}`], o.get(`r${i}`)!.data as any).toExponential(1)).join(" "));
}
