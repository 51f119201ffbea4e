// Scales of quantised weights, as conv2d_texels reads them: stored in f16 after all
// quants; for each 32 values of 16 columns, two texels.

// The scales of 16 columns, in order.
alias scales = array<vec4<f32>, 4>;

fn scales8(at: u32) -> array<vec4<f32>, 2> {
  let s = textureLoad(w, weight_place(at));
  return array<vec4<f32>, 2>(
    vec4<f32>(unpack2x16float(s.x), unpack2x16float(s.y)),
    vec4<f32>(unpack2x16float(s.z), unpack2x16float(s.w)),
  );
}

fn load_scales(at: u32) -> scales {
  let a = scales8(at);
  let b = scales8(at + 1u);
  return scales(a[0], a[1], b[0], b[1]);
}
