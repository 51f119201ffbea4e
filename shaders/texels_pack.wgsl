// t[group, vec4, pixel] = x[32 group + pixel, vec4]
//
// Packs pixels into texels, as conv2d_texels.wgsl reads them: a texel is four channels
// of a pixel in f32. The last pixel is followed by one of zeros, which stands for
// pixels outside the image.
//
// x (pixels, I) in vec8s; t (groups, I/4, 32) in texels.
// Prepended: texels.wgsl and one of vec8_*.wgsl.
// Grid: ⌈(pixels + 1) / 8⌉ · ⌈I/8 / 8⌉ workgroups of 8 pixels × 8 vec8s,
// pixels fastest.

struct Params {
  pixels: u32,
  in8: u32, // I / 8
  groups_m: u32, // ⌈(pixels + 1) / 8⌉
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
  let row = divide(number, p.groups_m);
  let pixel = (number - row * p.groups_m) * 8u + lane % 8u;
  let i = row * 8u + lane / 8u;
  if pixel > p.pixels || i >= p.in8 { return; }
  var v = values();
  if pixel < p.pixels { v = unpack(x[pixel * p.in8 + i]); }
  let at = pixel_texel(pixel, 2u * p.in8) + 64u * i;
  textureStore(t, texel_place(at), bitcast<vec4<u32>>(v[0]));
  textureStore(t, texel_place(at + 32u), bitcast<vec4<u32>>(v[1]));
}
