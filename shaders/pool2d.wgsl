// y[b, oy, ox, c] = max or mean of x[b, ·, ·, c] over a window
//
// x (B, H, W, C), y (B, OH, OW, C). The maximum ignores pixels outside the image;
// the mean counts them as zero, as PyTorch does. Accumulates in f32.
// = torch.nn.functional.max_pool2d, avg_pool2d.
// Grid: one invocation per element of y, in groups of 64.

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
  let top = oy * p.stride;
  let left = ox * p.stride;
  var largest = -3.4e38;
  var sum = 0.0;
  for (var ky = 0u; ky < p.kernel_height; ky++) {
    let iy = top + ky;
    if iy < p.padding || iy >= p.height + p.padding { continue; }
    let row = (b * p.height + iy - p.padding) * p.width;
    for (var kx = 0u; kx < p.kernel_width; kx++) {
      let ix = left + kx;
      if ix < p.padding || ix >= p.width + p.padding { continue; }
      let v = f32(x[(row + ix - p.padding) * p.channels + c]);
      largest = max(largest, v);
      sum += v;
    }
  }
  let mean = sum / f32(p.kernel_height * p.kernel_width);
  // NaNs and infinities are kept, as in PyTorch; max() would hide NaNs.
  let broken = (bitcast<u32>(sum) & 0x7f800000u) == 0x7f800000u;
  y[index] = real(select(mean, select(largest, sum, broken), IS_MAX));
}
