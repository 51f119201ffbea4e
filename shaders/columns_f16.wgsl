// How conv2d_texels reads its weight, stored as f16: a texel is four values of
// each of two columns.

alias scales = u32; // none

const VEC4_TEXELS = 8u; // texels with one vec4 of each of 16 columns

fn load_scales(at: u32) -> scales {
  return 0u;
}

fn halves(a: u32, b: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(a), unpack2x16float(b));
}

// Vec4 `k4` of columns 8j … 8j + 7 of the block that starts at texel `block`.
fn columns(block: u32, k4: u32, j: u32, s: scales) -> Columns8 {
  let place = weight_place(block + k4 * VEC4_TEXELS) + vec2<u32>(4u * j, 0u);
  let t0 = textureLoad(w, place);
  let t1 = textureLoad(w, place + vec2<u32>(1u, 0u));
  let t2 = textureLoad(w, place + vec2<u32>(2u, 0u));
  let t3 = textureLoad(w, place + vec2<u32>(3u, 0u));
  return Columns8(
    halves(t0.x, t0.y),
    halves(t0.z, t0.w),
    halves(t1.x, t1.y),
    halves(t1.z, t1.w),
    halves(t2.x, t2.y),
    halves(t2.z, t2.w),
    halves(t3.x, t3.y),
    halves(t3.z, t3.w),
  );
}
