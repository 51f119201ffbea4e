// How conv2d_texels reads its weight, stored as q8: a texel is four signed bytes
// of each of four columns. Prepended: columns_scales.wgsl.

const VEC4_TEXELS = 4u; // texels with one vec4 of each of 16 columns

fn bytes(word: u32, scale: f32) -> vec4<f32> {
  return scale * vec4<f32>(unpack4xI8(word));
}

// Vec4 `k4` of columns 8j … 8j + 7 of the block that starts at texel `block`.
fn columns(block: u32, k4: u32, j: u32, s: scales) -> Columns8 {
  let place = weight_place(block + k4 * VEC4_TEXELS) + vec2<u32>(2u * j, 0u);
  let a = textureLoad(w, place);
  let b = textureLoad(w, place + vec2<u32>(1u, 0u));
  let first = s[2u * j];
  let second = s[2u * j + 1u];
  return Columns8(
    bytes(a.x, first.x),
    bytes(a.y, first.y),
    bytes(a.z, first.z),
    bytes(a.w, first.w),
    bytes(b.x, second.x),
    bytes(b.y, second.y),
    bytes(b.z, second.z),
    bytes(b.w, second.w),
  );
}
