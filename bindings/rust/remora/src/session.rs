// SPDX-License-Identifier: Apache-2.0
//! Timelines of tokens, evaluation and rows.

use crate::error::{call, filled};
use crate::options::Cancel;
use crate::{sys, Model, Result, Token};

/// Options of a session; a builder.
#[derive(Clone, Default)]
pub struct SessionOptions {
    pub(crate) raw: sys::remora_session_opts,
}
// The pointer in it is NULL.
unsafe impl Send for SessionOptions {}
unsafe impl Sync for SessionOptions {}

impl SessionOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// Most tokens of the timeline.
    pub fn capacity(mut self, tokens: u32) -> Self {
        self.raw.capacity = tokens;
        self
    }
    /// Most tokens that go through the layers together; changes no result.
    pub fn chunk(mut self, tokens: u32) -> Self {
        self.raw.chunk = tokens;
        self
    }
    /// The element type of the cache: `REMORA_KV_*`.
    pub fn kv_type(mut self, kv_type: i32) -> Self {
        self.raw.kv_type = kv_type;
        self
    }
    /// Take memory for the cache when tokens need it.
    pub fn pages_as_needed(mut self) -> Self {
        self.raw.flags |= sys::REMORA_SESSION_PAGES_AS_NEEDED;
        self
    }
    /// Guess with the model's prediction layer too, where it has one: see
    /// [`GenOptions::max_drafts`](crate::GenOptions::max_drafts). The layer's cache takes memory.
    pub fn prediction(mut self) -> Self {
        self.raw.flags |= sys::REMORA_SESSION_PREDICTION;
        self
    }
}

/// Options of evaluating; a builder.
#[derive(Clone, Debug, Default)]
pub struct EvalOptions {
    budget_us: i64,
    max_tokens: u64,
    max_drafts: u32,
    ahead: bool,
    cancel: Option<Cancel>,
}

impl EvalOptions {
    /// All defaults: evaluating ends when all is done.
    pub fn new() -> Self {
        Self::default()
    }
    /// Evaluating stops after this many microseconds.
    pub fn budget_us(mut self, us: i64) -> Self {
        self.budget_us = us;
        self
    }
    /// Evaluating stops after this many tokens, over all sessions.
    pub fn max_tokens(mut self, n: u64) -> Self {
        self.max_tokens = n;
        self
    }
    /// Most tokens that are guessed behind each session's last one, at most 30.
    pub fn max_drafts(mut self, n: u32) -> Self {
        self.max_drafts = n;
        self
    }
    /// The session decides how many guesses pay, instead of [`max_drafts`](Self::max_drafts).
    pub fn auto_drafts(self) -> Self {
        self.max_drafts(sys::REMORA_DRAFTS_AUTO as u32)
    }
    /// Take what was guessed right and evaluate nothing: [`Progress::More`] where something is pending still.
    pub fn ahead(mut self) -> Self {
        self.ahead = true;
        self
    }
    /// The cancel word that ends the call.
    pub fn cancel(mut self, word: &Cancel) -> Self {
        self.cancel = Some(word.clone());
        self
    }
    fn for_call(&self) -> sys::remora_eval_opts {
        let mut raw = sys::remora_eval_opts::new();
        raw.budget_us = self.budget_us;
        raw.max_tokens = self.max_tokens;
        raw.max_drafts = self.max_drafts;
        raw.flags = if self.ahead { sys::REMORA_EVAL_AHEAD } else { 0 };
        raw.cancel = Cancel::pointer(&self.cancel);
        raw
    }
}

/// The appended tokens that get an output row: `REMORA_WANT_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want(u32);

impl Want {
    /// No token gets an output row.
    pub const NONE: Self = Self(sys::REMORA_WANT_NONE);
    /// The last token gets an output row.
    pub const LAST: Self = Self(sys::REMORA_WANT_LAST);
    /// Every token gets an output row.
    pub const ALL: Self = Self(sys::REMORA_WANT_ALL);
    /// Output rows have hidden states too.
    pub const HIDDEN: Self = Self(sys::REMORA_WANT_HIDDEN);
}

impl std::ops::BitOr for Want {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether the work of a call is done, or the same call has to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All work is done.
    Done,
    /// The budget is used up; the same call goes on.
    More,
}

impl Progress {
    fn of(status: i32) -> Self {
        if status == sys::REMORA_MORE {
            Self::More
        } else {
            Self::Done
        }
    }
}

/// The numbers of a session, as the header describes them.
pub type SessionInfo = sys::remora_session_info;
/// Tokens and times of a session, as the header describes them.
pub type Stats = sys::remora_stats;
/// A token, its raw logit and the logarithm of its probability.
pub type TokenProb = sys::remora_token_prob;

/// One timeline of tokens and its cache.
///
/// Rows are borrowed from it, so one that has become stale does not compile:
///
/// ```compile_fail,E0502
/// # fn f(session: &mut remora::Session) -> remora::Result<()> {
/// let row = session.logits(0)?;
/// session.append(&[1], remora::Want::LAST)?;
/// println!("{}", row[0]);
/// # Ok(()) }
/// ```
///
/// ```
/// # fn f(session: &mut remora::Session) -> remora::Result<()> {
/// let row = session.logits(0)?;
/// println!("{}", row[0]);
/// session.append(&[1], remora::Want::LAST)?;
/// # Ok(()) }
/// ```
///
/// Threads that only look may share one, and one that computes has it alone:
///
/// ```
/// fn sync<T: Send + Sync>() {}
/// sync::<remora::Session>();
/// sync::<remora::Model>();
/// ```
pub struct Session(pub(crate) *mut sys::remora_session);
// The header: one thread at a time, which one does not matter; and calls whose handle is const, which
// are those of &self, may run at the same time as each other.
unsafe impl Send for Session {}
unsafe impl Sync for Session {}

impl Session {
    /// An empty timeline.
    pub fn new(m: &Model) -> Result<Self> {
        Self::with(m, &SessionOptions::new())
    }
    /// An empty timeline with these options.
    pub fn with(m: &Model, o: &SessionOptions) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_session_create(m.0, &o.raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// A second session that goes on from the same state and shares its pages.
    pub fn fork(&mut self) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_session_fork(self.0, &mut out, e) })?;
        Ok(Self(out))
    }
    /// The numbers of the session: positions, pending tokens, output rows.
    pub fn info(&self) -> Result<SessionInfo> {
        let mut raw = SessionInfo::new();
        call(|e| unsafe { sys::remora_session_get_info(self.0, &mut raw, e) })?;
        Ok(raw)
    }
    /// The options of the session.
    pub fn options(&self) -> Result<SessionOptions> {
        let mut o = SessionOptions::new();
        call(|e| unsafe { sys::remora_session_get_options(self.0, &mut o.raw, e) })?;
        Ok(o)
    }
    /// The tokens of the timeline from a position on.
    pub fn tokens(&self, from: u64) -> Result<Vec<Token>> {
        filled(256, |p, cap, n, e| unsafe { sys::remora_session_tokens(self.0, from, p, cap, n, e) })
    }
    /// Append tokens to the timeline, to be evaluated by the next eval.
    pub fn append(&mut self, t: &[Token], want: Want) -> Result<()> {
        call(|e| unsafe { sys::remora_session_append(self.0, t.as_ptr(), t.len(), want.0, e) }).map(drop)
    }
    /// Make the timeline equal to these tokens. The result is the number of kept tokens that are in the cache.
    pub fn sync(&mut self, t: &[Token], want: Want) -> Result<usize> {
        let mut reused = 0;
        call(|e| unsafe { sys::remora_session_sync(self.0, t.as_ptr(), t.len(), want.0, &mut reused, e) })?;
        Ok(reused)
    }
    /// Cut the timeline to its first `keep` tokens.
    pub fn trim(&mut self, keep: u64) -> Result<()> {
        call(|e| unsafe { sys::remora_session_trim(self.0, keep, e) }).map(drop)
    }
    /// Evaluate all pending tokens.
    pub fn eval(&mut self) -> Result<()> {
        call(|e| unsafe { sys::remora_eval(&self.0, 1, std::ptr::null(), e) }).map(drop)
    }
    /// Evaluate pending tokens, within a budget and until cancelled.
    pub fn eval_with(&mut self, o: &EvalOptions) -> Result<Progress> {
        eval_batch(&mut [self], o)
    }
    /// The logits of an output row.
    pub fn logits(&self, row: u32) -> Result<&[f32]> {
        let (mut p, mut n) = (std::ptr::null(), 0);
        call(|e| unsafe { sys::remora_session_logits(self.0, row, &mut p, &mut n, e) })?;
        // The header: valid until a call that changes the session, which needs &mut self.
        Ok(unsafe { std::slice::from_raw_parts(p, n) })
    }
    /// The most probable tokens of a row, best first.
    pub fn top(&self, row: u32, most: usize) -> Result<Vec<TokenProb>> {
        let mut room = vec![TokenProb::new(); most];
        let mut n = 0;
        call(|e| unsafe { sys::remora_session_top(self.0, row, room.as_mut_ptr(), most, &mut n, e) })?;
        room.truncate(n);
        Ok(room)
    }
    /// The log probability of one token in a row.
    pub fn logprob(&self, row: u32, t: Token) -> Result<f32> {
        let mut out = 0.0;
        call(|e| unsafe { sys::remora_session_logprob(self.0, row, t, &mut out, e) })?;
        Ok(out)
    }
    /// The hidden state of a row.
    pub fn hidden(&self, row: u32) -> Result<Vec<f32>> {
        filled(1024, |p, cap, n, e| unsafe { sys::remora_session_hidden(self.0, row, p, cap, n, e) })
    }
    /// The tokens and times of the session.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = Stats::new();
        call(|e| unsafe { sys::remora_session_get_stats(self.0, &mut raw, e) })?;
        Ok(raw)
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_session {
        self.0
    }
    /// The C handle of its model, borrowed.
    pub fn model_ptr(&self) -> *mut sys::remora_model {
        unsafe { sys::remora_session_model(self.0) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        unsafe { sys::remora_session_free(self.0) }
    }
}

/// Evaluate several sessions of one model together: they share the reading of weights.
pub fn eval_batch(sessions: &mut [&mut Session], o: &EvalOptions) -> Result<Progress> {
    let raw: Vec<_> = sessions.iter().map(|s| s.0).collect();
    let o = o.for_call();
    call(|e| unsafe { sys::remora_eval(raw.as_ptr(), raw.len(), &o, e) }).map(Progress::of)
}
