// SPDX-License-Identifier: Apache-2.0
//! Finds libremora: in the folder that REMORA_LIB_DIR names, else by pkg-config, else in the newest
//! build folder of the repository that this crate lies in. With the feature `static` it is libremora.a,
//! and the libraries that this needs are those of pkg-config's file beside it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

fn from_pkg_config() -> Option<String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let out = Command::new(program).args(["--variable=libdir", "remora"]).output().ok()?;
    let dir = String::from_utf8(out.stdout).ok()?.trim().to_string();
    (out.status.success() && !dir.is_empty()).then_some(dir)
}

fn age(folder: &Path) -> Option<(SystemTime, PathBuf)> {
    let lib = folder.join("lib");
    let made = lib.join("libremora.so").metadata().ok()?.modified().ok()?;
    Some((made, lib))
}

fn from_repository() -> Option<String> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").ok()?).join("../../..");
    let folders = std::fs::read_dir(root).ok()?.flatten();
    let builds = folders.filter(|f| f.file_name().to_string_lossy().starts_with("build"));
    let (_, lib) = builds.filter_map(|f| age(&f.path())).max()?;
    Some(lib.canonicalize().ok()?.to_str()?.to_string())
}

/// What `Libs.private` of pkg-config's file says, of an installed library or of a build folder.
fn private_libraries(dir: &str) -> Vec<String> {
    let places = ["pkgconfig/remora.pc", "../meson-private/remora.pc"];
    let text =
        places.iter().find_map(|p| std::fs::read_to_string(Path::new(dir).join(p)).ok()).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("Libs.private:")).unwrap_or("");
    line.split_whitespace().filter_map(|w| w.strip_prefix("-l")).map(str::to_string).collect()
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["REMORA_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={}", name);
    }
    let said = std::env::var("REMORA_LIB_DIR").ok();
    let is_static = std::env::var_os("CARGO_FEATURE_STATIC").is_some();
    let mut also = Vec::new();
    match said.or_else(from_pkg_config).or_else(from_repository) {
        Some(dir) => {
            println!("cargo:rustc-link-search=native={}", dir);
            also = private_libraries(&dir);
            println!("cargo:lib_dir={}", dir); // DEP_REMORA_LIB_DIR of crates that depend on this
        }
        None => println!(
            "cargo:warning=libremora was not found: set REMORA_LIB_DIR to its folder, or install it with pkg-config's file"
        ),
    }
    println!("cargo:rustc-link-lib={}=remora", if is_static { "static" } else { "dylib" });
    for name in also.iter().filter(|_| is_static) {
        println!("cargo:rustc-link-lib=dylib={}", name);
    }
}
