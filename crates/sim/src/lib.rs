//! Proof: worlds of Handfast's machines, walked by seed and exhaustively.
#![forbid(unsafe_code)]
