// Loads vec8s from the texture `t`, stored as f32, two texels each. Prepended:
// texels.wgsl and vec8_f32.wgsl.

fn load_vec8(at: u32) -> values {
  return values(
    bitcast<vec4<f32>>(textureLoad(t, texel_place(2u * at))),
    bitcast<vec4<f32>>(textureLoad(t, texel_place(2u * at + 1u))),
  );
}
