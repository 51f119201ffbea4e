// Where conv2d_texels stores its sums: in a buffer, after bias, time embedding,
// residual and activation. bias (O), shift (B, O), residual and y in octets.

@group(0) @binding(2) var<storage, read> bias: array<octet>;
@group(0) @binding(3) var<storage, read> shift: array<octet>;
@group(0) @binding(4) var<storage, read> residual: array<octet>;
@group(0) @binding(5) var<storage, read_write> y: array<octet>;
@group(0) @binding(6) var<uniform> p: Params;

// Eight columns of one pixel, index in the launch.
fn store(index: u32, octet8: u32, product: u32, sums: values) {
  if index >= p.pixels || octet8 >= p.out8 { return; }
  var v = sums;
  if p.has_bias != 0u { v += unpack(bias[octet8]); }
  if p.has_shift != 0u {
    let picture = divide(p.first_pixel + index, p.out_width * p.out_height);
    v += unpack(shift[picture * p.out8 + octet8]);
  }
  let at = p.start_y + product * p.product_y + index * p.step_y + octet8;
  if p.has_residual != 0u { v += unpack(residual[at]); }
  y[at] = pack(values(activate4(p.activation, v[0]), activate4(p.activation, v[1])));
}
