// Which tokens of an image others are merged into: the first of each 2×2 block
// is a destination, all others are sources; both are numbered in reading order.
// Put in front of the shaders that match tokens.

// The token that is the d-th destination.
fn destination_token(d: u32, width: u32) -> u32 {
  let across = (width + 1u) / 2u;
  return 2u * (d / across) * width + 2u * (d % across);
}

// The token that is the s-th source: width / 2 of them in the upper row of a
// pair of rows, all of the lower one.
fn source_token(s: u32, width: u32) -> u32 {
  let upper = width / 2u;
  let pair = s / (width + upper);
  let i = s % (width + upper);
  if i < upper { return 2u * pair * width + 2u * i + 1u; }
  return (2u * pair + 1u) * width + i - upper;
}
