// Stores the sums of conv2d_texels as f32 texels, four columns of a pixel each, in
// the layout in which conv2d_texels reads x.

@group(0) @binding(2) var y: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(3) var<uniform> p: Params;

// Stores eight columns of pixel number `index` of the launch.
fn store(index: u32, o8: u32, product: u32, sums: values) {
  if index >= p.pixels || o8 >= p.out8 { return; }
  let at = p.start_y + product * p.product_y + pixel_texel(index, 2u * p.out8) + 64u * o8;
  textureStore(y, texel_place(at), bitcast<vec4<u32>>(sums[0]));
  textureStore(y, texel_place(at + 32u), bitcast<vec4<u32>>(sums[1]));
}
