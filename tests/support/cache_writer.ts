/** A process that fills a feature cache until it is killed: ROOT KEYS SEED. */
import { FeatureCache } from "../../tools/train/data/cache.ts";
import { cachedValues } from "./cached_values.ts";

const [root, keys, seed] = Deno.args;
const cache = await FeatureCache.open(
  { root, components: { image: "aa", reference: "bb" } },
  { maxBytes: 2 ** 30 },
);
console.log("open");
for (let i = Number(seed);; i++) {
  const key = i * 7 % Number(keys);
  await cache.put("image", `key ${key}`, cachedValues(key));
}
