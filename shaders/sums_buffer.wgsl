// Stores the sums of conv2d_texels in a buffer, after adding bias, channel bias and
// residual and applying the activation. bias (O), channel_bias (B, O), residual and y
// in vec8s.

@group(0) @binding(2) var<storage, read> bias: array<packed8>;
@group(0) @binding(3) var<storage, read> channel_bias: array<packed8>;
@group(0) @binding(4) var<storage, read> residual: array<packed8>;
@group(0) @binding(5) var<storage, read_write> y: array<packed8>;
@group(0) @binding(6) var<uniform> p: Params;

// Stores eight columns of pixel number `index` of the launch.
fn store(index: u32, o8: u32, product: u32, sums: values) {
  if index >= p.pixels || o8 >= p.out8 { return; }
  var v = sums;
  if p.has_bias != 0u { v += unpack(bias[o8]); }
  if p.has_channel_bias != 0u {
    let image = divide(p.first_pixel + index, p.out_width * p.out_height);
    v += unpack(channel_bias[image * p.out8 + o8]);
  }
  let at = p.start_y + product * p.product_y + index * p.step_y + o8;
  if p.has_residual != 0u { v += unpack(residual[at]); }
  y[at] = pack(values(activate4(p.activation, v[0]), activate4(p.activation, v[1])));
}
