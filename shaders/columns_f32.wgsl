// How conv2d_texels reads its weight, stored as f32: a texel is four values of
// one column.

alias scales = u32; // none

const VEC4_TEXELS = 16u; // texels with one vec4 of each of 16 columns

fn load_scales(at: u32) -> scales {
  return 0u;
}

// Vec4 `k4` of columns 8j … 8j + 7 of the block that starts at texel `block`.
fn columns(block: u32, k4: u32, j: u32, s: scales) -> Columns8 {
  let place = weight_place(block + k4 * VEC4_TEXELS) + vec2<u32>(8u * j, 0u);
  return Columns8(
    bitcast<vec4<f32>>(textureLoad(w, place)),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(1u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(2u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(3u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(4u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(5u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(6u, 0u))),
    bitcast<vec4<f32>>(textureLoad(w, place + vec2<u32>(7u, 0u))),
  );
}
