// Group normalisation, last of three shaders.
//
// y[b, n, c] = act((x[b, n, c] − stats[b, 0, c]) · stats[b, 1, c] + bias[c])
//
// x and y (B, N, C), or a slice of the pixels; stats (B, 2, C) in f32; bias (C); C a
// multiple of 4. Computes in f32. Prepended: one of vec4_*.wgsl.
// The three = torch.nn.functional.group_norm on channels-last tensors, then the
// activation.
// Each invocation computes four channels of 8 pixels, for which it reads mean, scale
// and bias once.
// Grid: ⌈pixels / 8⌉ · C/4 invocations in groups of 64, channels fastest.

struct Params {
  channels4: u32, // C / 4
  pixels: u32, // N
  first_pixel: u32, // index in the batch of the launch's first pixel
  rows: u32, // pixels of this launch
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<packed4>;
@group(0) @binding(3) var<storage, read_write> y: array<packed4>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  let eight = divide(index, p.channels4);
  let c = index - eight * p.channels4;
  let end = min(eight * 8u + 8u, p.rows);
  let offset = unpack4(bias[c]);
  // The eight pixels may belong to more than one image, each with its own statistics.
  for (var pixel = eight * 8u; pixel < end;) {
    let b = divide(p.first_pixel + pixel, p.pixels);
    let stop = min(end, (b + 1u) * p.pixels - p.first_pixel);
    let mean = stats[b * 2u * p.channels4 + c];
    let scale = stats[(b * 2u + 1u) * p.channels4 + c];
    for (; pixel < stop; pixel++) {
      let at = pixel * p.channels4 + c;
      let v = (unpack4(x[at]) - mean) * scale + offset;
      y[at] = pack4(activate4(p.activation, v));
    }
  }
}
