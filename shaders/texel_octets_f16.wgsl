// An octet of the texture `t`, stored as f16, a texel each.

fn load_octet(at: u32) -> values {
  let o = textureLoad(t, texel_place(at));
  return values(
    vec4<f32>(unpack2x16float(o.x), unpack2x16float(o.y)),
    vec4<f32>(unpack2x16float(o.z), unpack2x16float(o.w)),
  );
}
