// SPDX-License-Identifier: Apache-2.0
//! Text to tokens and back, and prompts of holes.

use crate::error::{call, filled, string};
use crate::options::{str_of, text};
use crate::{sys, Model, Result};

/// An id of the vocabulary.
pub type Token = sys::remora_token;

/// Tokens that a model may have for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Special {
    Bos = 1,
    Eos,
    Pad,
    User,
    Assistant,
    ThinkOpen,
    ThinkClose,
    FimBegin,
    FimHole,
    FimEnd,
}

/// The flags of tokenizing: `REMORA_TEXT_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextFlags(u32);

impl TextFlags {
    /// All of the text is plain text.
    pub const PLAIN: Self = Self(0);
    /// Markup written out in the text becomes tokens: never for text that users typed.
    pub const SPECIAL: Self = Self(sys::REMORA_TEXT_SPECIAL);
    /// The tokens begin with those that the tokenizer's configuration puts before a text.
    pub const BOS: Self = Self(sys::REMORA_TEXT_BOS);
}

impl std::ops::BitOr for TextFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// For models that have a tokenizer.
impl Model {
    /// The tokens of a text, or of any bytes.
    pub fn tokenize(&self, of: impl AsRef<[u8]>, flags: TextFlags) -> Result<Vec<Token>> {
        let of = of.as_ref();
        filled(of.len() / 2 + 16, |p, cap, n, e| unsafe {
            sys::remora_tokenize(self.0, of.as_ptr().cast(), of.len(), flags.0, p, cap, n, e)
        })
    }
    /// The text of tokens. Bytes that are no UTF-8 become U+FFFD, control tokens nothing.
    pub fn detokenize(&self, tokens: &[Token]) -> Result<String> {
        let mut d = self.detok();
        let mut all = d.push(tokens)?;
        all += &d.flush()?;
        Ok(all)
    }
    /// A streaming detokenizer.
    pub fn detok(&self) -> Detok<'_> {
        Detok { model: self, state: sys::remora_detok::new() }
    }
    /// The bytes that a token stands for.
    pub fn token_bytes(&self, t: Token) -> Result<Vec<u8>> {
        filled(64, |p: *mut u8, cap, n, e| unsafe { sys::remora_token_bytes(self.0, t, p.cast(), cap, n, e) })
    }
    /// The properties of a token: `REMORA_TOKEN_*` bits.
    pub fn token_flags(&self, t: Token) -> u32 {
        unsafe { sys::remora_token_flags(self.0, t) }
    }
    /// The token for a purpose, where the model has one.
    pub fn special(&self, which: Special) -> Option<Token> {
        let t = unsafe { sys::remora_token_special(self.0, which as i32) };
        (t != sys::REMORA_TOKEN_NONE).then_some(t)
    }
    /// The tokens that end a turn.
    pub fn end_tokens(&self) -> Result<Vec<Token>> {
        filled(16, |p, cap, n, e| unsafe { sys::remora_end_tokens(self.0, p, cap, n, e) })
    }
    /// The prompt for the text between prefix and suffix.
    pub fn fim(
        &self,
        prefix: impl AsRef<[u8]>,
        suffix: impl AsRef<[u8]>,
        o: &FimOptions<'_>,
    ) -> Result<FimPrompt> {
        let (prefix, suffix) = (prefix.as_ref(), suffix.as_ref());
        let files: Vec<_> =
            o.files.iter().map(|(path, t)| sys::remora_file { path: text(path), text: text(t) }).collect();
        let mut raw = o.raw;
        raw.repo = text(o.repo);
        raw.path = text(o.path);
        raw.files = files.as_ptr();
        raw.n_files = files.len() as u64;
        let mut info = sys::remora_fim_info::new();
        let tokens = filled(512, |p, cap, n, e| unsafe {
            let (a, b) = (prefix.as_ptr().cast(), suffix.as_ptr().cast());
            sys::remora_fim(self.0, a, prefix.len(), b, suffix.len(), &raw, p, cap, n, &mut info, e)
        })?;
        let heal = info.heal[..info.n_heal as usize].iter().map(|&b| b as u8).collect();
        Ok(FimPrompt {
            tokens,
            heal,
            is_cut: info.is_cut != 0,
            prefix_tokens: info.prefix_tokens,
            suffix_tokens: info.suffix_tokens,
            n_files: info.n_files,
        })
    }
    /// The names of the markers that end the text of a hole: stop strings for generating.
    pub fn fim_stops(&self) -> impl Iterator<Item = &'static str> + '_ {
        (0..).map_while(move |i| {
            let mut t = sys::remora_text::new();
            call(|e| unsafe { sys::remora_fim_stop(self.0, i, &mut t, e) }).ok()?;
            Some(unsafe { str_of(&t) }) // the header: static
        })
    }
}

/// Options of [`Model::fim`]; a builder.
#[derive(Clone, Default)]
pub struct FimOptions<'a> {
    raw: sys::remora_fim_opts,
    repo: &'a str,
    path: &'a str,
    files: Vec<(&'a str, &'a str)>,
}

impl<'a> FimOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// The prefix may end in the middle of a word.
    pub fn heal(mut self) -> Self {
        self.raw.flags |= sys::REMORA_FIM_HEAL;
        self
    }
    /// Most tokens of the prompt.
    pub fn max_tokens(mut self, n: u64) -> Self {
        self.raw.max_tokens = n;
        self
    }
    /// The shares of the prompt that prefix and suffix get, in percent.
    pub fn shares(mut self, prefix: u32, suffix: u32) -> Self {
        self.raw.prefix_share = prefix;
        self.raw.suffix_share = suffix;
        self
    }
    /// The name of the repository and the path of the file with the hole.
    pub fn repository(mut self, name: &'a str, path: &'a str) -> Self {
        self.repo = name;
        self.path = path;
        self
    }
    /// Another file of the repository, by path and text: the nearest last.
    pub fn file(mut self, path: &'a str, text: &'a str) -> Self {
        self.files.push((path, text));
        self
    }
}

/// A prompt for a hole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FimPrompt {
    /// The tokens to append.
    pub tokens: Vec<Token>,
    /// The end of the prefix that is not in the prompt, for [`Sampler::spell`](crate::Sampler::spell).
    pub heal: Vec<u8>,
    /// Whether a part of prefix, suffix or files was left out.
    pub is_cut: bool,
    /// Tokens of the prefix in the prompt.
    pub prefix_tokens: u64,
    /// Tokens of the suffix in the prompt.
    pub suffix_tokens: u64,
    /// The number of files in the prompt: the last ones.
    pub n_files: u64,
}

/// A streaming detokenizer: it gives the text of tokens in whole characters. A clone branches the stream.
#[derive(Clone)]
pub struct Detok<'m> {
    model: &'m Model,
    state: sys::remora_detok,
}

impl Detok<'_> {
    /// The text that the next tokens complete.
    pub fn push(&mut self, t: &[Token]) -> Result<String> {
        let (m, state) = (self.model.0, &mut self.state);
        let bytes = filled(t.len() * 8 + 16, |p: *mut u8, cap, n, e| unsafe {
            sys::remora_detok_push(m, state, t.as_ptr(), t.len(), p.cast(), cap, n, e)
        })?;
        Ok(string(bytes))
    }
    /// The text of the end of the stream: U+FFFD for an unfinished character, or nothing.
    pub fn flush(&mut self) -> Result<String> {
        let (m, state) = (self.model.0, &mut self.state);
        let bytes = filled(16, |p: *mut u8, cap, n, e| unsafe {
            sys::remora_detok_flush(m, state, p.cast(), cap, n, e)
        })?;
        Ok(string(bytes))
    }
}
