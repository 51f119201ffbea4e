// y[b, oy, ox, c] = x[b, ⌊oy · (H / OH)⌋, ⌊ox · (W / OW)⌋, c]
//
// x (B, H, W, C), y (B, OH, OW, C). H / OH and W / OW are divided by the host: WGSL's
// quotient may be a little less than the nearest number, and its floor one less.
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
  step_y: f32, // H / OH
  step_x: f32, // W / OW
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
  let iy = min(u32(f32(oy) * p.step_y), p.height - 1u);
  let ix = min(u32(f32(ox) * p.step_x), p.width - 1u);
  y[index] = x[((b * p.height + iy) * p.width + ix) * p.channels + c];
}
