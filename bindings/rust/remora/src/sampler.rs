// SPDX-License-Identifier: Apache-2.0
//! From logits to a token: stages and constraints.

use crate::error::{call, guarded};
use crate::options::text;
use crate::runtime::free_box;
use crate::{sys, Model, Result, Session, Token, TokenProb};
use std::os::raw::c_void;

/// One step of a sampler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// Logits are divided by the temperature; 0 keeps only the best token.
    Temperature(f64),
    /// So many of the best tokens are kept.
    TopK(i64),
    /// The best tokens whose probabilities reach this together are kept.
    TopP(f64),
    /// Tokens that are at least so many times as probable as the best are kept.
    MinP(f64),
    /// Logits of tokens among the last `window` are divided by value, or multiplied when negative.
    Repeat(f64, i64),
    /// Value times the occurrences among the last `window` tokens is subtracted.
    Frequency(f64, i64),
    /// Value is subtracted for tokens among the last `window`.
    Presence(f64, i64),
    /// Value is added to the logit of a token.
    Bias(Token, f64),
}

impl Stage {
    fn raw(self) -> sys::remora_stage {
        let (kind, value, count) = match self {
            Self::Temperature(v) => (sys::REMORA_STAGE_TEMPERATURE, v, 0),
            Self::TopK(n) => (sys::REMORA_STAGE_TOP_K, 0.0, n),
            Self::TopP(v) => (sys::REMORA_STAGE_TOP_P, v, 0),
            Self::MinP(v) => (sys::REMORA_STAGE_MIN_P, v, 0),
            Self::Repeat(v, n) => (sys::REMORA_STAGE_REPEAT, v, n),
            Self::Frequency(v, n) => (sys::REMORA_STAGE_FREQUENCY, v, n),
            Self::Presence(v, n) => (sys::REMORA_STAGE_PRESENCE, v, n),
            Self::Bias(t, v) => (sys::REMORA_STAGE_BIAS, v, i64::from(t)),
        };
        let mut raw = sys::remora_stage::new();
        raw.kind = kind;
        raw.value = value;
        raw.count = count;
        raw
    }
}

unsafe extern "C" fn stage<F>(user: *mut c_void, cand: *mut TokenProb, n: *mut usize) -> i32
where
    F: Fn(&mut [TokenProb]) -> Option<usize> + Send + Sync + 'static,
{
    let f = &*user.cast::<F>();
    let kept = guarded(None, || f(std::slice::from_raw_parts_mut(cand, *n)));
    match kept {
        Some(kept) if kept <= *n => {
            *n = kept;
            sys::REMORA_OK
        }
        _ => sys::REMORA_E_CALLBACK,
    }
}

/// Stages, history and a random generator.
pub struct Sampler(pub(crate) *mut sys::remora_sampler);
// The header: one thread at a time, which one does not matter; those of &self only read. Stages of
// the host are Send + Sync, as clones share them.
unsafe impl Send for Sampler {}
unsafe impl Sync for Sampler {}

impl Sampler {
    /// A sampler without stages: it draws from the full distribution.
    pub fn new(m: &Model, seed: u64) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_sampler_create(m.0, seed, &mut out, e) })?;
        Ok(Self(out))
    }
    /// A sampler with these stages, in their order.
    pub fn with(m: &Model, seed: u64, stages: &[Stage]) -> Result<Self> {
        let mut s = Self::new(m, seed)?;
        stages.iter().try_for_each(|&stage| s.add(stage))?;
        Ok(s)
    }
    /// Add a stage at the end.
    pub fn add(&mut self, s: Stage) -> Result<()> {
        call(|e| unsafe { sys::remora_sampler_add(self.0, &s.raw(), e) }).map(drop)
    }
    /// A stage of the host: it may reorder the candidates and change their logits, and returns how
    /// many of the first ones to keep, or `None` when it fails. Clones share it; a panic in it goes
    /// on in the caller of the pick.
    pub fn add_fn<F>(&mut self, f: F) -> Result<()>
    where
        F: Fn(&mut [TokenProb]) -> Option<usize> + Send + Sync + 'static,
    {
        let mut raw = sys::remora_stage::new();
        raw.kind = sys::REMORA_STAGE_CALLBACK;
        raw.user = Box::into_raw(Box::new(f)).cast();
        raw.r#fn = Some(stage::<F>);
        raw.release = Some(free_box::<F>); // also when adding fails
        call(|e| unsafe { sys::remora_sampler_add(self.0, &raw, e) }).map(drop)
    }
    /// A copy that goes on exactly as this one would.
    pub fn try_clone(&self) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_sampler_clone(self.0, &mut out, e) })?;
        Ok(Self(out))
    }
    /// Forget the accepted tokens and start the generator anew.
    pub fn reset(&mut self, seed: u64) {
        unsafe { sys::remora_sampler_reset(self.0, seed) }
    }
    /// Enter a token into the history.
    pub fn accept(&mut self, t: Token) -> Result<()> {
        call(|e| unsafe { sys::remora_sampler_accept(self.0, t, e) }).map(drop)
    }
    /// Picks go on with these bytes until they are spelled.
    pub fn spell(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let b = bytes.as_ref();
        call(|e| unsafe { sys::remora_sampler_spell(self.0, b.as_ptr().cast(), b.len(), e) }).map(drop)
    }
    /// Picks take only tokens that the constraint allows; `None` ends that.
    pub fn constrain(&mut self, c: Option<&Constraint>) -> Result<()> {
        let raw = c.map_or(std::ptr::null_mut(), |c| c.0);
        call(|e| unsafe { sys::remora_sampler_constrain(self.0, raw, e) }).map(drop)
    }
    /// Take the last accepted tokens back.
    pub fn rollback(&mut self, n: u64) -> Result<()> {
        call(|e| unsafe { sys::remora_sampler_rollback(self.0, n, e) }).map(drop)
    }
    /// Pick a token from an output row of a session.
    pub fn pick(&mut self, s: &Session, row: u32) -> Result<Token> {
        let mut out = 0;
        call(|e| unsafe { sys::remora_sampler_pick(self.0, s.0, row, &mut out, e) })?;
        Ok(out)
    }
    /// Pick a token from the host's own logits.
    pub fn pick_from(&mut self, logits: &[f32]) -> Result<Token> {
        let mut out = 0;
        call(|e| unsafe {
            sys::remora_sampler_pick_from(self.0, logits.as_ptr(), logits.len(), &mut out, e)
        })?;
        Ok(out)
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_sampler {
        self.0
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        unsafe { sys::remora_sampler_free(self.0) }
    }
}

/// The source of a constraint: a description of the texts that it allows.
#[derive(Clone, Copy, Debug)]
pub enum Grammar<'a> {
    /// A grammar as llama.cpp writes it.
    Gbnf(&'a str),
    /// A grammar as Lark writes it.
    Lark(&'a str),
    /// An ECMAScript regular expression of the whole text.
    Regex(&'a str),
    /// One of some texts.
    Choice(&'a [&'a str]),
    /// A JSON text that a schema allows.
    JsonSchema(&'a str),
    /// A JSON text that a schema allows; keywords that cannot be enforced are left out.
    LaxJsonSchema(&'a str),
}

/// A compiled grammar, which samplers share.
///
/// Threads may hand one on, and not use it at the same time:
///
/// ```
/// fn send<T: Send>() {}
/// send::<remora::Constraint>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<remora::Constraint>();
/// ```
pub struct Constraint(pub(crate) *mut sys::remora_constraint);
// A constraint has no call but to be given to samplers, which keep it and lock what they share.
unsafe impl Send for Constraint {}

impl Constraint {
    /// Compile a grammar for the vocabulary of a model.
    pub fn new(m: &Model, g: Grammar<'_>) -> Result<Self> {
        Self::with_limits(m, g, 0, 0)
    }
    /// Compile a grammar, with bytes that the constraint may take and steps of work for a pick; 0: the
    /// default.
    pub fn with_limits(m: &Model, g: Grammar<'_>, memory: u64, steps: u64) -> Result<Self> {
        let mut raw = sys::remora_constraint_opts::new();
        let mut choices = Vec::new();
        let (kind, source, flags) = match g {
            Grammar::Gbnf(s) => (sys::REMORA_CONSTRAINT_GBNF, s, 0),
            Grammar::Lark(s) => (sys::REMORA_CONSTRAINT_LARK, s, 0),
            Grammar::Regex(s) => (sys::REMORA_CONSTRAINT_REGEX, s, 0),
            Grammar::JsonSchema(s) => (sys::REMORA_CONSTRAINT_JSON_SCHEMA, s, 0),
            Grammar::LaxJsonSchema(s) => (sys::REMORA_CONSTRAINT_JSON_SCHEMA, s, sys::REMORA_SCHEMA_LAX),
            Grammar::Choice(all) => {
                choices.extend(all.iter().map(|s| text(s)));
                (sys::REMORA_CONSTRAINT_CHOICE, "", 0)
            }
        };
        raw.kind = kind;
        raw.flags = flags;
        if !matches!(g, Grammar::Choice(_)) {
            raw.source = text(source);
        } else {
            raw.choices = choices.as_ptr();
            raw.n_choices = choices.len() as u64;
        }
        raw.memory = memory;
        raw.steps = steps;
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_constraint_create(m.0, &raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_constraint {
        self.0
    }
}

impl Drop for Constraint {
    fn drop(&mut self) {
        unsafe { sys::remora_constraint_free(self.0) }
    }
}
