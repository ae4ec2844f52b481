// SPDX-License-Identifier: Apache-2.0
//! The smallest useful program: continue a text, print it as it comes.
//!
//!     cargo run --example minimal MODEL [TEXT]

use remora::{GenOptions, Model, Sampler, Session, Stage, TextFlags, Want};
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: minimal MODEL [TEXT]")?;
    let prompt = arguments.next().unwrap_or_else(|| "Once upon a time".into());
    let model = Model::open(path)?;
    let mut session = Session::new(&model)?;
    let mut sampler = Sampler::with(&model, 42, &[Stage::Temperature(0.7)])?;
    session.append(&model.tokenize(&prompt, TextFlags::BOS)?, Want::LAST)?;
    print!("{}", prompt);
    for piece in session.generate_text(&mut sampler, GenOptions::new().max_tokens(60)) {
        print!("{}", piece?);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
