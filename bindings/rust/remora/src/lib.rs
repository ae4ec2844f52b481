// SPDX-License-Identifier: Apache-2.0
#![doc = include_str!("../../README.md")]
#![deny(missing_docs)]

mod chat;
mod error;
mod generate;
mod model;
mod options;
mod runtime;
mod sampler;
mod session;
mod text;

pub use chat::*;
pub use error::{Error, ErrorKind, Result};
pub use generate::*;
pub use model::*;
pub use options::Cancel;
/// The C interface, for what is not here; handles give their pointers with `as_ptr`.
pub use remora_sys as sys;
pub use runtime::*;
pub use sampler::*;
pub use session::*;
pub use text::*;
