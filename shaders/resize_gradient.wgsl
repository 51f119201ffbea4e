// dx[b, y, x, c] = Σ weight_y(oy, y) · weight_x(ox, x) · dy[b, oy, ox, c]
//
// over the pixels of the output that took something from (y, x): the share of it that
// resize_nearest.wgsl or resize_bilinear.wgsl gives them, with the same arithmetic.
// dy (B, OH, OW, C), dx (B, H, W, C). Accumulates in f32, in a fixed order.
// = the gradient of torch.nn.functional.interpolate.
// Grid: one invocation per element of dx, in groups of 64.

struct Params {
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  total: u32,
  step_y: f32, // as in resize_nearest.wgsl or resize_bilinear.wgsl
  step_x: f32,
  center: f32, // of bilinear, as in resize_bilinear.wgsl
}

override IS_NEAREST: bool = false;

@group(0) @binding(0) var<storage, read> dy: array<real>;
@group(0) @binding(1) var<storage, read_write> dx: array<real>;
@group(0) @binding(2) var<uniform> p: Params;

// The share of source pixel i, of `size`, in output pixel o.
fn weight(o: u32, i: u32, size: u32, step: f32) -> f32 {
  if IS_NEAREST {
    return select(0.0, 1.0, min(u32(f32(o) * step), size - 1u) == i);
  }
  let place = max((f32(o) + p.center) * step - p.center, 0.0);
  let low = min(u32(place), size - 1u);
  let high = min(low + 1u, size - 1u);
  let share = place - f32(low);
  return select(0.0, 1.0 - share, low == i) + select(0.0, share, high == i);
}

// The first and the last output pixel, of `count`, that may have a share of i.
fn touching(i: u32, size: u32, step: f32, count: u32) -> vec2<u32> {
  let end = f32(count - 1u);
  let before = select(1.0, 0.0, IS_NEAREST);
  let low = floor((f32(i) - before + p.center) / step - p.center);
  let high = ceil((f32(i) + 1.0 + p.center) / step - p.center);
  return vec2<u32>(
    // The edges also have what lies beyond the outermost centers.
    select(u32(clamp(low, 0.0, end)), 0u, i == 0u || step == 0.0),
    select(u32(clamp(high, 0.0, end)), count - 1u, i + 1u == size || step == 0.0),
  );
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels;
  let ix = (index / p.channels) % p.width;
  let iy = (index / (p.channels * p.width)) % p.height;
  let b = index / (p.channels * p.width * p.height);
  let rows = touching(iy, p.height, p.step_y, p.out_height);
  let columns = touching(ix, p.width, p.step_x, p.out_width);
  var sum = 0.0;
  for (var oy = rows.x; oy <= rows.y; oy++) {
    let from_row = weight(oy, iy, p.height, p.step_y);
    if from_row == 0.0 { continue; }
    let row = (b * p.out_height + oy) * p.out_width;
    var along = 0.0;
    for (var ox = columns.x; ox <= columns.y; ox++) {
      let share = weight(ox, ix, p.width, p.step_x);
      if share == 0.0 { continue; }
      along += share * f32(dy[(row + ox) * p.channels + c]);
    }
    sum += from_row * along;
  }
  dx[index] = real(sum);
}
