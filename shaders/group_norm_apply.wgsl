// Group normalisation, last of three.
//
// y[b, n, c] = act((x[b, n, c] − stats[b, 0, c]) · stats[b, 1, c] + bias[c])
//
// x and y (B, N, C), or pixels of it, stats (B, 2, C) in f32, bias (C); C a multiple of 4.
// All three = torch.nn.functional.group_norm on channels-last tensors, then the
// activation.
// Grid: an invocation for each C/4 of the pixels, in groups of 64, channels fastest.

struct Params {
  channels4: u32, // C / 4
  pixels: u32, // N
  first_pixel: u32, // of this launch, in the whole batch
  total: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<real4>;
@group(0) @binding(3) var<storage, read_write> y: array<real4>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels4;
  let b = (p.first_pixel + index / p.channels4) / p.pixels;
  let at = b * 2u * p.channels4 + c;
  let v = (vec4<f32>(x[index]) - stats[at]) * stats[at + p.channels4] +
    vec4<f32>(bias[c]);
  y[index] = real4(vec4<f32>(
    activate(p.activation, v.x),
    activate(p.activation, v.y),
    activate(p.activation, v.z),
    activate(p.activation, v.w),
  ));
}
