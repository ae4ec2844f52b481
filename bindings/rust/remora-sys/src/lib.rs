// SPDX-License-Identifier: Apache-2.0
//! The C interface of Remora. The manual is the header, `remora/remora.h`; all of `abi` is generated
//! from the description that is installed beside it. The crate `remora` has the safe interface.
//!
//! Structs have `new()`: `struct_size` is set and the rest is 0, which means the defaults.
#![deny(missing_docs)]

#[rustfmt::skip]
mod abi;
pub use abi::*;
