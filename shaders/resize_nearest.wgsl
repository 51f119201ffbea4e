// y[b, oy, ox, c] = x[b, ⌊oy · (H / OH)⌋, ⌊ox · (W / OW)⌋, c]
//
// x (B, H, W, C), y (B, OH, OW, C).
// = torch.nn.functional.interpolate(mode="nearest"), which also computes the source
// row and column in f32.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<real>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels;
  let ox = (index / p.channels) % p.out_width;
  let oy = (index / (p.channels * p.out_width)) % p.out_height;
  let b = index / (p.channels * p.out_width * p.out_height);
  let iy = min(u32(f32(oy) * (f32(p.height) / f32(p.out_height))), p.height - 1u);
  let ix = min(u32(f32(ox) * (f32(p.width) / f32(p.out_width))), p.width - 1u);
  y[index] = x[((b * p.height + iy) * p.width + ix) * p.channels + c];
}
