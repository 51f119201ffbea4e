// t[b, h, block, t4, d] = x[b, token … token + 3, h · D + 16 block + d]
//
// Values by head, as conv2d_texels.wgsl reads weights: x (B, S, H·D) in vec8s;
// t (B·H, ⌈D/16⌉, tokens4, 16) in f32 texels, starting at texel `start`, each one
// channel of four tokens. Token `second` starts the second segment, at vec4
// `second4`; tokens that pad a segment are zero, channels that pad a block are not
// written.
// Prepended: texels.wgsl and one of vec8_*.wgsl.
// Grid: one invocation per vec8 of channels of four tokens, in groups of 64.

struct Params {
  tokens: u32, // S
  seen: u32, // tokens that are packed
  heads: u32,
  head8: u32, // D / 8
  tokens4: u32, // vec4s of tokens in all segments
  second: u32, // first token of the second segment
  second4: u32, // first vec4 of tokens of the second segment
  start: u32, // first texel of t
  total: u32, // invocations with work
  skip: u32, // vec8s of the binding before x
}

@group(0) @binding(0) var<storage, read> x: array<packed8>;
@group(0) @binding(1) var t: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<uniform> p: Params;

// A vec8 of a token of image b; zero from token `end`, the end of the segment, on.
fn value(b: u32, token: u32, end: u32, channel8: u32) -> values {
  if token >= end { return values(); }
  return unpack(x[p.skip + (b * p.tokens + token) * p.heads * p.head8 + channel8]);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let row = divide(index, p.head8);
  let d = index - row * p.head8;
  let head = divide(row, p.tokens4); // of B · H
  let t4 = row - head * p.tokens4;
  let b = divide(head, p.heads);
  let channel8 = (head - b * p.heads) * p.head8 + d;
  let is_second = t4 >= p.second4;
  let end = select(min(p.second, p.seen), p.seen, is_second);
  let token = select(t4 * 4u, p.second + (t4 - p.second4) * 4u, is_second);
  let v0 = value(b, token, end, channel8);
  let v1 = value(b, token + 1u, end, channel8);
  let v2 = value(b, token + 2u, end, channel8);
  let v3 = value(b, token + 3u, end, channel8);
  let low = transpose(mat4x4<f32>(v0[0], v1[0], v2[0], v3[0]));
  let high = transpose(mat4x4<f32>(v0[1], v1[1], v2[1], v3[1]));
  let blocks = (p.head8 + 1u) / 2u;
  let at = p.start + ((head * blocks + d / 2u) * p.tokens4 + t4) * 16u + d % 2u * 8u;
  for (var e = 0u; e < 4u; e++) {
    textureStore(t, texel_place(at + e), bitcast<vec4<u32>>(low[e]));
    textureStore(t, texel_place(at + 4u + e), bitcast<vec4<u32>>(high[e]));
  }
}
