// SPDX-License-Identifier: Apache-2.0
//! The examples and tests of this crate find the library where it was linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(dir) = std::env::var("DEP_REMORA_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir);
    }
}
