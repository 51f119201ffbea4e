// t[b, h, s, d] = x[b, s, h · D + d]
//
// Keys or values by head, as attention_texels.wgsl reads them: x (B, S, H·D) in
// vec8s; t (B, H, S, D) in texels, one per vec8 in f16 and two in f32, starting at
// vec8 `start`. = x.view(B, S, H, D).transpose(1, 2).
// Prepended: texels.wgsl and one of vec8_*.wgsl.
// Grid: one invocation per vec8 of x, in groups of 64.

struct Params {
  tokens: u32, // S
  heads: u32,
  head8: u32, // D / 8
  start: u32, // first vec8 of t to write
  total: u32, // vec8s of x
  skip: u32, // vec8s of the binding before x
}

@group(0) @binding(0) var<storage, read> x: array<packed8>;
@group(0) @binding(1) var t: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let line = divide(index, p.head8);
  let d = index - line * p.head8;
  let token = divide(line, p.heads);
  let head = line - token * p.heads;
  let b = divide(token, p.tokens);
  let row = (b * p.heads + head) * p.tokens + token - b * p.tokens;
  let at = (p.start + row * p.head8 + d) * VEC8_TEXELS;
  let o = x[p.skip + index];
  for (var i = 0u; i < VEC8_TEXELS; i++) {
    textureStore(t, texel_place(at + i), packed8_texel(o, i));
  }
}
