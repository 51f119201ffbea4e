// y[b, oy, ox, c] = x[b, ·, ·, c] interpolated at row oy · (H − 1) / (OH − 1) and
// column ox · (W − 1) / (OW − 1); or, without aligned corners, at the row
// (oy + ½) · H / OH − ½ and the column (ox + ½) · W / OW − ½, but at 0 at least
//
// x (B, H, W, C), y (B, OH, OW, C). Computes in f32.
// = torch.nn.functional.interpolate(mode="bilinear", align_corners=True or False).
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  total: u32,
  step_y: f32, // (H − 1) / (OH − 1), 0 for a single row; or H / OH
  step_x: f32,
  center: f32, // of a pixel, from its corner that counts: 0, or ½
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
  let sy = max((f32(oy) + p.center) * p.step_y - p.center, 0.0);
  let sx = max((f32(ox) + p.center) * p.step_x - p.center, 0.0);
  let top = min(u32(sy), p.height - 1u);
  let left = min(u32(sx), p.width - 1u);
  let bottom = min(top + 1u, p.height - 1u);
  let right = min(left + 1u, p.width - 1u);
  let fy = sy - f32(top);
  let fx = sx - f32(left);
  let row0 = (b * p.height + top) * p.width;
  let row1 = (b * p.height + bottom) * p.width;
  let tl = f32(x[(row0 + left) * p.channels + c]);
  let tr = f32(x[(row0 + right) * p.channels + c]);
  let bl = f32(x[(row1 + left) * p.channels + c]);
  let br = f32(x[(row1 + right) * p.channels + c]);
  let upper = (1.0 - fx) * tl + fx * tr;
  let lower = (1.0 - fx) * bl + fx * br;
  y[index] = real((1.0 - fy) * upper + fy * lower);
}
