// t[b, h, block, vec4, s] = scale · x[b, token, h · D + 4 vec4 … + 3]
//
// Queries or keys by head, as conv2d_texels.wgsl reads pixels and weights:
// x (B, S, H·D) in vec8s; t (B·H, blocks, D/4, width) in f32 texels, starting at
// texel `start`; a block is `width` tokens. Token `second` starts the second segment
// and a new block; texels that pad a segment's last block are not written.
// Prepended: texels.wgsl and one of vec8_*.wgsl.
// Grid: ⌈B · S / 8⌉ · ⌈H·D/8 / 8⌉ workgroups of 8 tokens × 8 vec8s, tokens fastest.

struct Params {
  tokens: u32, // S
  seen: u32, // tokens that are packed
  batch: u32, // B
  heads: u32,
  head8: u32, // D / 8
  blocks: u32, // of a head
  width: u32, // tokens of a block
  second: u32, // first token of the second segment
  second_block: u32, // first block of the second segment
  start: u32, // first texel of t
  groups_t: u32, // ⌈B · S / 8⌉
  scale: f32,
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
  let number = group_index(group, groups);
  let line = divide(number, p.groups_t);
  let row = (number - line * p.groups_t) * 8u + lane % 8u;
  let channel8 = line * 8u + lane / 8u;
  let row8 = p.heads * p.head8;
  let b = divide(row, p.tokens);
  let token = row - b * p.tokens;
  if row >= p.batch * p.tokens || token >= p.seen || channel8 >= row8 { return; }
  let is_second = token >= p.second;
  let slot = select(token, token - p.second, is_second);
  let place = divide(slot, p.width);
  let block = place + select(0u, p.second_block, is_second);
  let h = divide(channel8, p.head8);
  let head = b * p.heads + h;
  let k4 = (channel8 - h * p.head8) * 2u;
  let v = p.scale * unpack(x[p.skip + row * row8 + channel8]);
  let at = p.start + ((head * p.blocks + block) * p.head8 * 2u + k4) * p.width + slot - place * p.width;
  textureStore(t, texel_place(at), bitcast<vec4<u32>>(v[0]));
  textureStore(t, texel_place(at + p.width), bitcast<vec4<u32>>(v[1]));
}
