// dx[b, y, x, c] = Σ dy[b, oy, ox, c] over the windows whose maximum is at (y, x)
// or, of a mean, Σ dy[b, oy, ox, c] / (KH · KW) over the windows that hold (y, x)
//
// x and dx (B, H, W, C), dy (B, OH, OW, C). Of equal maxima a window's first counts,
// as in PyTorch. The mean reads no x. Accumulates in f32, in a fixed order.
// = the gradient of torch.nn.functional.max_pool2d, avg_pool2d.
// Grid: one invocation per element of dx, in groups of 64.

struct Params {
  height: u32,
  width: u32,
  channels: u32,
  out_height: u32,
  out_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride: u32,
  padding: u32,
  total: u32,
}

override IS_MAX: bool = false;

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> dy: array<real>;
@group(0) @binding(2) var<storage, read_write> dx: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

// The first and one past the last of `count` windows that hold a row or column, which
// is `at` with the padding before it.
fn windows(at: u32, kernel: u32, count: u32) -> vec2<u32> {
  let first = select(0u, (at - kernel) / p.stride + 1u, at >= kernel);
  return vec2<u32>(first, min(at / p.stride + 1u, count));
}

// Whether the first maximum of the window that begins at (top, left), counted with the
// padding, is at row iy and column ix of image b.
fn is_first_maximum(b: u32, top: u32, left: u32, iy: u32, ix: u32, c: u32) -> bool {
  let value = f32(x[((b * p.height + iy) * p.width + ix) * p.channels + c]);
  for (var ky = 0u; ky < p.kernel_height; ky++) {
    let y = top + ky;
    if y < p.padding || y >= p.height + p.padding { continue; }
    let row = (b * p.height + y - p.padding) * p.width;
    for (var kx = 0u; kx < p.kernel_width; kx++) {
      let column = left + kx;
      if column < p.padding || column >= p.width + p.padding { continue; }
      let other = f32(x[(row + column - p.padding) * p.channels + c]);
      let is_before = y - p.padding < iy ||
        (y - p.padding == iy && column - p.padding < ix);
      if other > value || (is_before && other == value) { return false; }
    }
  }
  return true;
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
  let rows = windows(iy + p.padding, p.kernel_height, p.out_height);
  let columns = windows(ix + p.padding, p.kernel_width, p.out_width);
  var sum = 0.0;
  for (var oy = rows.x; oy < rows.y; oy++) {
    for (var ox = columns.x; ox < columns.y; ox++) {
      if IS_MAX && !is_first_maximum(b, oy * p.stride, ox * p.stride, iy, ix, c) {
        continue;
      }
      sum += f32(dy[((b * p.out_height + oy) * p.out_width + ox) * p.channels + c]);
    }
  }
  let share = select(1.0 / f32(p.kernel_height * p.kernel_width), 1.0, IS_MAX);
  dx[index] = real(sum * share);
}
