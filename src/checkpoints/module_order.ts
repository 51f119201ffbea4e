/**
 * The order in which the reference's modules register their parameters: that of
 * a state dict, and of the parameters that an optimiser numbers.
 *
 * @module
 */

/** Names of modules and parameters, each list of siblings in order. */
const ORDER = [
  ["id_encoder", "adapter_modules"],
  ["latents", "proj_in", "proj_out", "norm_out", "layers", "final_attn"],
  ["norm1", "norm2", "to_q", "to_kv", "to_out"],
  ["to_k_img", "to_v_img"],
  ["weight", "bias"],
].flat();

/**
 * Sorts tensors of an adapter into the order of `parameters()`, whether or not
 * their names begin with that of a state dict. Numbers are sorted as numbers;
 * names that are not known come last, as they were.
 *
 * @param tensors by the reference's names
 */
export function inModuleOrder<T extends { readonly name: string }>(
  tensors: readonly T[],
): T[] {
  return tensors.map((tensor) => ({ tensor, key: keyOf(tensor.name) }))
    .sort((a, b) => compare(a.key, b.key))
    .map(({ tensor }) => tensor);
}

function keyOf(name: string): number[] {
  return name.split(".").map((segment) => {
    if (/^\d+$/.test(segment)) return Number(segment);
    const rank = ORDER.indexOf(segment);
    return rank < 0 ? ORDER.length : rank;
  });
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((rank, i) => rank !== b[i]);
  return at < 0 ? 0 : a[at] - (b[at] ?? 0);
}
