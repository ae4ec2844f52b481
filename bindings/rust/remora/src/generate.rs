// SPDX-License-Identifier: Apache-2.0
//! Generation as iterators of text and of tokens.

use crate::error::{call, string};
use crate::options::{text, Cancel};
use crate::{sys, Error, Result, Sampler, Session, Token, TokenProb};

/// Options of a generation; a builder.
#[derive(Clone, Default)]
pub struct GenOptions {
    max_tokens: u64,
    budget_us: i64,
    stop: Vec<String>,
    keep_stop: bool,
    cancel: Option<Cancel>,
    n_best: Option<u32>,
    max_drafts: u32,
}

impl GenOptions {
    /// All defaults: until the end of the turn.
    pub fn new() -> Self {
        Self::default()
    }
    /// Most tokens of the whole generation.
    pub fn max_tokens(mut self, n: u64) -> Self {
        self.max_tokens = n;
        self
    }
    /// The budget of each step of the iterator, in microseconds. A step that used it up may give an
    /// empty piece.
    pub fn budget_us(mut self, us: i64) -> Self {
        self.budget_us = us;
        self
    }
    /// Generation ends when its text has this string.
    pub fn stop(mut self, s: impl Into<String>) -> Self {
        self.stop.push(s.into());
        self
    }
    /// The text keeps the stop string at its end.
    pub fn keep_stop(mut self) -> Self {
        self.keep_stop = true;
        self
    }
    /// The cancel word that ends the generation.
    pub fn cancel(mut self, word: &Cancel) -> Self {
        self.cancel = Some(word.clone());
        self
    }

    /// Keep the probability of each token, and those of the `n_best` most probable tokens of its row: see
    /// [`TokenStream::probs`] and [`TextStream::probs`].
    pub fn probs(mut self, n_best: u32) -> Self {
        self.n_best = Some(n_best.min(1 << 20)); // larger than any vocabulary, and small enough to allocate
        self
    }
    /// Most tokens that are guessed from the text before and evaluated together, at most 30. Tokens are the same with
    /// guesses and without; text that repeats itself comes sooner.
    pub fn max_drafts(mut self, n: u32) -> Self {
        self.max_drafts = n;
        self
    }
    /// As many guesses as pay, at each token anew, where [`max_drafts`](Self::max_drafts) says a number.
    pub fn auto_drafts(self) -> Self {
        self.max_drafts(sys::REMORA_DRAFTS_AUTO as u32)
    }

    fn lend<R>(
        &self,
        is_new: bool,
        probs: &mut [TokenProb],
        f: impl FnOnce(&sys::remora_gen_opts) -> R,
    ) -> R {
        let stop: Vec<_> = self.stop.iter().map(|s| text(s)).collect();
        let mut raw = sys::remora_gen_opts::new();
        raw.flags = if is_new { sys::REMORA_GEN_NEW } else { 0 };
        raw.flags |= if self.keep_stop { sys::REMORA_GEN_KEEP_STOP } else { 0 };
        raw.max_tokens = self.max_tokens;
        raw.budget_us = self.budget_us;
        raw.max_drafts = self.max_drafts;
        raw.stop = stop.as_ptr();
        raw.n_stop = stop.len() as u64;
        raw.cancel = Cancel::pointer(&self.cancel);
        if let Some(n_best) = self.n_best {
            raw.probs = probs.as_mut_ptr();
            raw.n_best = n_best;
        }
        f(&raw)
    }
}

/// The reason why a generation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The generation has not ended, or was given up.
    None,
    /// A token that ends a turn was made.
    EndOfTurn,
    /// The text has the stop string of this index.
    Stop(u32),
    /// The generation has as many tokens as the options allow.
    MaxTokens,
    /// The capacity of the session is reached.
    Capacity,
}

/// The progress of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generation {
    /// The reason why it has ended.
    pub reason: Reason,
    /// Tokens that all its calls made.
    pub n_tokens: u64,
    /// Bytes of text that all its calls delivered.
    pub text_bytes: u64,
}

impl Session {
    /// Text that follows, in pieces of whole characters: an iterator that ends with the generation.
    /// Dropping it leaves the timeline with what was made.
    pub fn generate_text<'a>(&'a mut self, p: &'a mut Sampler, o: GenOptions) -> TextStream<'a> {
        TextStream { inner: Stream::new(self, p, o), tokens: Vec::new() }
    }
    /// Tokens that follow: an iterator that ends with the generation.
    pub fn generate<'a>(&'a mut self, p: &'a mut Sampler, o: GenOptions) -> TokenStream<'a> {
        TokenStream { inner: Stream::new(self, p, o) }
    }
    /// The progress of the generation that is under way, else of the last one.
    pub fn generation(&self) -> Result<Generation> {
        let mut raw = sys::remora_generation_info::new();
        call(|e| unsafe { sys::remora_session_get_generation(self.0, &mut raw, e) })?;
        let reason = match raw.reason {
            sys::REMORA_REASON_END_OF_TURN => Reason::EndOfTurn,
            sys::REMORA_REASON_STOP => Reason::Stop(raw.stop),
            sys::REMORA_REASON_MAX_TOKENS => Reason::MaxTokens,
            sys::REMORA_REASON_CAPACITY => Reason::Capacity,
            _ => Reason::None,
        };
        Ok(Generation { reason, n_tokens: raw.n_tokens, text_bytes: raw.text_bytes })
    }
}

/// The part that streams of text and of tokens share: a generation, and the calls that go on with it.
struct Stream<'a> {
    session: &'a mut Session,
    sampler: &'a mut Sampler,
    options: GenOptions,
    is_new: bool,
    is_over: bool,
    late: Option<Error>, // came with the last item
    probs: Vec<TokenProb>,
}

impl<'a> Stream<'a> {
    fn new(session: &'a mut Session, sampler: &'a mut Sampler, options: GenOptions) -> Self {
        Self { session, sampler, options, is_new: true, is_over: false, late: None, probs: Vec::new() }
    }
    fn late<T>(&mut self) -> Option<Result<T>> {
        self.late.take().map(Err)
    }
    /// One call for at most `cap` tokens; f returns its status and how many there are. Whether it
    /// was the last one is remembered.
    fn step(&mut self, cap: usize, f: impl FnOnce(Call<'_>) -> (i32, usize)) -> Result<()> {
        let (session, sampler) = (self.session.0, self.sampler.0);
        let is_new = std::mem::replace(&mut self.is_new, false);
        let each = self.options.n_best.map_or(0, |n| n as usize + 1);
        let mut probs = vec![TokenProb::new(); cap * each];
        let mut made = 0;
        let done = self.options.lend(is_new, &mut probs, |options| {
            call(|error| {
                let (status, n) = f(Call { session, sampler, options, error });
                made = n;
                status
            })
        });
        self.probs.extend_from_slice(&probs[..made * each]);
        self.is_over = !matches!(done, Ok(sys::REMORA_MORE));
        done.map(drop)
    }
}

struct Call<'a> {
    session: *mut sys::remora_session,
    sampler: *mut sys::remora_sampler,
    options: &'a sys::remora_gen_opts,
    error: *mut sys::remora_error,
}

/// Pieces of text; an error is the last item, behind the text that came with it.
pub struct TextStream<'a> {
    inner: Stream<'a>,
    tokens: Vec<Token>,
}

impl TextStream<'_> {
    /// With [`GenOptions::probs`] the probabilities so far: for each token its own entry, and behind it
    /// those of the most probable tokens of its row.
    pub fn probs(&self) -> &[TokenProb] {
        &self.inner.probs
    }
    /// All tokens that were made so far.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
    /// The reason why the generation has ended, and its tokens and bytes.
    pub fn info(&self) -> Result<Generation> {
        self.inner.session.generation()
    }
    /// The rest of the text as one string.
    pub fn collect_text(&mut self) -> Result<String> {
        self.collect()
    }
    fn piece(&mut self) -> (Result<()>, String) {
        let (mut room, mut made) = (vec![0u8; 256], [0; 64]);
        let (mut n, mut n_tokens) = (0, 0);
        let most = if self.inner.options.n_best.is_some() { 4 } else { made.len() };
        let done = self.inner.step(most, |c| {
            let (text, tokens, made) = (room.as_mut_ptr().cast(), made.as_mut_ptr(), &mut n_tokens);
            let (s, p, o, e) = (c.session, c.sampler, c.options, c.error);
            let status = unsafe {
                sys::remora_generate_text(s, p, o, text, room.len(), &mut n, tokens, most, made, e)
            };
            (status, *made)
        });
        self.tokens.extend_from_slice(&made[..n_tokens]);
        room.truncate(n);
        (done, string(room))
    }
}

impl Iterator for TextStream<'_> {
    type Item = Result<String>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.inner.is_over {
            return self.inner.late();
        }
        match self.piece() {
            (Err(e), text) if text.is_empty() => Some(Err(e)),
            (Err(e), text) => {
                self.inner.late = Some(e);
                Some(Ok(text))
            }
            (Ok(()), text) if text.is_empty() && self.inner.is_over => None,
            (Ok(()), text) => Some(Ok(text)),
        }
    }
}

/// Tokens; an error is the last item. A budget that is used up ends it for now: see
/// [`TokenStream::is_over`].
pub struct TokenStream<'a> {
    inner: Stream<'a>,
}

impl TokenStream<'_> {
    /// With [`GenOptions::probs`] the probabilities so far: for each token its own entry, and behind it
    /// those of the most probable tokens of its row.
    pub fn probs(&self) -> &[TokenProb] {
        &self.inner.probs
    }
    /// Has the generation ended? Else the next step goes on.
    pub fn is_over(&self) -> bool {
        self.inner.is_over
    }
    /// The reason why the generation has ended, and its tokens and bytes.
    pub fn info(&self) -> Result<Generation> {
        self.inner.session.generation()
    }
}

impl Iterator for TokenStream<'_> {
    type Item = Result<Token>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.inner.is_over {
            return self.inner.late();
        }
        let (mut t, mut n) = (0, 0);
        let done = self.inner.step(1, |c| {
            let (s, p, o, e) = (c.session, c.sampler, c.options, c.error);
            (unsafe { sys::remora_generate(s, p, o, &mut t, 1, &mut n, e) }, n)
        });
        match done {
            Err(e) if n == 0 => Some(Err(e)),
            Err(e) => {
                self.inner.late = Some(e);
                Some(Ok(t))
            }
            Ok(()) => (n == 1).then_some(Ok(t)),
        }
    }
}
