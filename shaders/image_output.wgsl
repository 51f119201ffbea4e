// y[m] = the pixel x[m] as 8-bit RGBA, red in the low byte, alpha 255
//
// x (M, 3) in −1..1, y (M) as u32: round(clamp(x / 2 + 1/2, 0, 1) · 255), ties
// to even. = diffusers' VaeImageProcessor after decoding.
// Grid: one invocation per pixel, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let rgb = vec3<f32>(
    f32(x[index * 3u]),
    f32(x[index * 3u + 1u]),
    f32(x[index * 3u + 2u]),
  );
  let level = vec3<u32>(round(clamp(rgb * 0.5 + 0.5, vec3<f32>(), vec3<f32>(1.0)) * 255.0));
  y[index] = level.x | (level.y << 8u) | (level.z << 16u) | 0xff000000u;
}
