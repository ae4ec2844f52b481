// SPDX-License-Identifier: Apache-2.0
//! An answer that is JSON of a schema, whatever the model would rather say.
//!
//!     cargo run --example json_answer MODEL [TEXT]

use remora::{Constraint, GenOptions, Grammar, Model, Sampler, Session, Stage, TextFlags, Want};

const SCHEMA: &str = r#"{"type": "object", "required": ["mood", "says"], "additionalProperties": false, "properties": {
    "mood": {"enum": ["glad", "sad", "angry"]}, "says": {"type": "string", "maxLength": 40}}}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: json_answer MODEL [TEXT]")?;
    let prompt = arguments.next().unwrap_or_else(|| "The little dragon saw the cake and said:\n".into());
    let model = Model::open(path)?;
    let constraint = Constraint::new(&model, Grammar::JsonSchema(SCHEMA))?;
    let mut session = Session::new(&model)?;
    let mut sampler = Sampler::with(&model, 7, &[Stage::Temperature(0.7)])?;
    sampler.constrain(Some(&constraint))?;
    session.append(&model.tokenize(&prompt, TextFlags::BOS)?, Want::LAST)?;
    println!("{}", session.generate_text(&mut sampler, GenOptions::new().max_tokens(200)).collect_text()?);
    Ok(())
}
